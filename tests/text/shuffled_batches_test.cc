#include "text/shuffled_batches.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <set>

#include "text/batch_queue.h"
#include "text/packing.h"
#include "text_testing.h"

namespace pawl::text {
namespace {

// Sequences that are their own numbers: part * 1000 + index, as often as `length` says. Those whose
// length is 0 cannot be used.
class NumberSource : public SequenceSource {
 public:
  explicit NumberSource(std::vector<int64_t> sizes, int64_t context = 9)
      : sizes_(std::move(sizes)), context_(context) {}
  static int64_t Length(int64_t number) { return number % 7 == 6 ? 0 : 2 + number % 5; }
  size_t parts() const override { return sizes_.size(); }
  int64_t part_sequences(size_t part) const override { return sizes_[part]; }
  bool Add(size_t part, int64_t index, uint64_t epoch_key, TokenBatch& batch) const override {
    EXPECT_NE(epoch_key, 0u);
    const auto number = static_cast<int64_t>(part) * 1000 + index;
    if (Length(number) == 0) {
      ++batch.dropped;
      return false;
    }
    if (fails && number == 3) throw RunError({.what = "number 3"});
    const size_t first = batch.Begin(static_cast<size_t>(Length(number)));
    std::fill(batch.tokens.begin() + static_cast<int64_t>(first), batch.tokens.end(),
              static_cast<int32_t>(number));
    return true;
  }
  int64_t context() const override { return context_; }
  uint32_t Checksum() const override { return 0; }
  bool fails = false;

 private:
  std::vector<int64_t> sizes_;
  int64_t context_;
};

std::vector<int32_t> Numbers(const TokenBatch& batch) {
  std::vector<int32_t> numbers;
  for (int64_t i = 0; i < batch.sequences(); ++i)
    numbers.push_back(batch.tokens[static_cast<size_t>(batch.starts[static_cast<size_t>(i)])]);
  return numbers;
}

TEST(Permutation, HasEveryNumberOnce) {
  core::Philox rng;
  for (const int64_t n : {1, 2, 3, 5, 16, 17, 1000, 4097}) {
    const Permutation permutation(n, rng);
    std::set<int64_t> seen;
    for (int64_t i = 0; i < n; ++i) seen.insert(permutation.At(i));
    EXPECT_EQ(static_cast<int64_t>(seen.size()), n);
    EXPECT_EQ(*seen.begin(), 0);
    EXPECT_EQ(*seen.rbegin(), n - 1);
  }
}

TEST(Permutation, EveryOrderIsAsLikely) {
  // 24 orders of 4, 500 each expected: chi-squared with 23 degrees of freedom, 1e-6 point 70.5
  core::Philox rng(7, core::Role::kTest, 0, 0);
  std::map<std::vector<int64_t>, int> counts;
  for (int i = 0; i < 12'000; ++i) {
    const Permutation permutation(4, rng);
    ++counts[{permutation.At(0), permutation.At(1), permutation.At(2), permutation.At(3)}];
  }
  double chi_squared = 0;
  for (const auto& [order, count] : counts) chi_squared += (count - 500.0) * (count - 500.0) / 500;
  EXPECT_EQ(counts.size(), 24u);
  EXPECT_LT(chi_squared, 70.5);
  // neighbours of a long one do not stay neighbours: 1,000 pairs, 2 expected, Poisson 1e-6 point 13
  const Permutation longer(1000, rng);
  int adjacent = 0;
  for (int64_t i = 1; i < 1000; ++i) adjacent += std::abs(longer.At(i) - longer.At(i - 1)) == 1;
  EXPECT_LT(adjacent, 13);
}

TEST(DrawOrder, AnEpochHasAllPartsOnceAndTheNextInAnotherOrder) {
  DrawOrder order({5, 0, 7}, {}, 1);
  ASSERT_EQ(order.epoch_draws(), 12);
  std::vector<std::vector<std::pair<size_t, int64_t>>> epochs(3);
  std::set<uint64_t> keys;
  for (int64_t i = 0; i < 36; ++i) {
    const Draw draw = order.At(i);
    epochs[static_cast<size_t>(i / 12)].emplace_back(draw.part, draw.index);
    keys.insert(draw.epoch_key);
  }
  EXPECT_EQ(keys.size(), 3u);
  EXPECT_NE(epochs[0], epochs[1]);
  for (auto& epoch : epochs) {
    std::set<std::pair<size_t, int64_t>> seen(epoch.begin(), epoch.end());
    EXPECT_EQ(seen.size(), 12u);
    for (const auto& [part, index] : seen) EXPECT_LT(index, part == 0 ? 5 : 7);
  }
}

TEST(DrawOrder, WeightsAreExactSharesOfEveryBlock) {
  const std::vector<double> weights = {3, 0, 1, 1e-9};
  DrawOrder order({10, 5, 1000, 2}, weights, 1);
  for (int block = 0; block < 3; ++block) {
    std::vector<int> counts(4, 0);
    std::map<int64_t, int> of_part_0;
    for (int64_t i = 0; i < DrawOrder::kBlock; ++i) {
      const Draw draw = order.At(block * DrawOrder::kBlock + i);
      ++counts[draw.part];
      if (draw.part == 0) ++of_part_0[draw.index];
    }
    EXPECT_EQ(counts, (std::vector<int>{3071, 0, 1024, 1}));
    for (const auto& [index, count] : of_part_0) EXPECT_NEAR(count, 307, 1) << index;
  }
  // any draw first
  DrawOrder other({10, 5, 1000, 2}, weights, 1);
  for (const int64_t i : {9000, 0, 4096, 4095, 12'000}) {
    EXPECT_EQ(other.At(i).index, order.At(i).index);
    EXPECT_EQ(other.At(i).part, order.At(i).part);
  }
}

TEST(DrawOrder, WeightsThatDoNotFitAreRefused) {
  const auto error = [](std::vector<double> weights) {
    return UserErrorOf([&] { DrawOrder({5, 0}, weights, 1); });
  };
  EXPECT_THAT(error({1}), testing::HasSubstr("1 weights for 2 files"));
  EXPECT_THAT(error({0, 0}), testing::HasSubstr("no weight is above 0"));
  EXPECT_THAT(error({1, 1}), testing::HasSubstr("file 2"));
  EXPECT_EQ(error({1, 0}), "");
}

TEST(PackBestFit, IsBestFitDecreasing) {
  using Rows = std::vector<std::vector<int32_t>>;
  const auto pack = [](std::vector<int64_t> lengths, int64_t capacity) {
    return PackBestFit(lengths, capacity);
  };
  EXPECT_EQ(pack({4, 2, 3, 1}, 4), (Rows{{0}, {2, 3}, {1}}));
  EXPECT_EQ(pack({}, 4), Rows{});
  EXPECT_EQ(pack({0, 4, 0}, 4), (Rows{{1}}));
  // 5 + 4, not 6 + 4: the fuller row that still takes it
  EXPECT_EQ(pack({6, 5, 4}, 10), (Rows{{0, 2}, {1}}));
  EXPECT_EQ(pack({7, 6, 3, 3, 4}, 10), (Rows{{0, 2}, {1, 4}, {3}}));
  EXPECT_THROW(pack({5}, 4), Error);
}

TEST(ShuffledBatches, DroppedSequencesAreReplacedByTheNextDraws) {
  const NumberSource source({70});
  ShuffledBatches batches(source, 3, 4);
  std::map<int32_t, int> counts;
  int64_t dropped = 0;
  for (int i = 0; i < 30; ++i) {  // 60 of 70 can be used: two epochs
    const TokenBatch batch = batches.Next();
    EXPECT_EQ(batch.sequences(), 4);
    dropped += batch.dropped;
    for (const int32_t number : Numbers(batch)) ++counts[number];
  }
  EXPECT_EQ(counts.size(), 60u);
  for (const auto& [number, count] : counts) EXPECT_EQ(count, 2) << number;
  EXPECT_EQ(dropped, batches.cursor().draw - 120);
}

TEST(ShuffledBatches, ACursorGoesOnExactly) {
  const NumberSource source({40, 300});
  for (const bool pack : {false, true}) {
    const BatchOptions options{.seed = 5, .sequences = 3, .pack = pack, .weights = {1, 2}};
    ShuffledBatches all(source, options);
    std::vector<TokenBatch> expected;
    std::vector<BatchCursor> cursors;
    for (int i = 0; i < 400; ++i) {
      cursors.push_back(all.cursor());
      expected.push_back(all.Next());
    }
    for (const size_t at : {size_t{0}, size_t{1}, size_t{77}, size_t{200}, size_t{399}}) {
      ShuffledBatches resumed(source, options);
      resumed.Seek(cursors[at]);
      for (size_t i = at; i < std::min<size_t>(at + 40, 400); ++i) {
        const TokenBatch batch = resumed.Next();
        ASSERT_EQ(batch.tokens, expected[i].tokens) << at << " " << i;
        ASSERT_EQ(batch.starts, expected[i].starts);
        ASSERT_EQ(batch.dropped, expected[i].dropped);
      }
    }
  }
}

TEST(ShuffledBatches, PackedRowsAreFullAndHaveEverySequenceOnce) {
  const NumberSource source({ShuffledBatches::kPool}, 29);
  ShuffledBatches batches(source, {.seed = 2, .sequences = 1, .pack = true, .weights = {}});
  std::multiset<int32_t> seen;
  int64_t rows = 0, tokens = 0;
  while (batches.cursor().draw == 0) {
    const TokenBatch batch = batches.Next();
    if (batches.cursor().draw != 0) break;
    EXPECT_LE(batch.tokens.size(), 30u);
    tokens += static_cast<int64_t>(batch.tokens.size());
    ++rows;
    for (const int32_t number : Numbers(batch)) seen.insert(number);
  }
  EXPECT_EQ(seen.size(), 858u);  // of 1000, those with a length
  EXPECT_EQ(std::set<int32_t>(seen.begin(), seen.end()).size(), seen.size());
  EXPECT_GT(static_cast<double>(tokens) / static_cast<double>(rows), 29.5);
}

TEST(ShuffledBatches, NothingUsableIsAnErrorNotALoop) {
  class Nothing : public NumberSource {
   public:
    Nothing() : NumberSource({50}) {}
    bool Add(size_t, int64_t, uint64_t, TokenBatch&) const override { return false; }
  };
  const Nothing source;
  for (const bool pack : {false, true}) {
    ShuffledBatches batches(source, {.sequences = 2, .pack = pack, .weights = {}});
    EXPECT_THAT(UserErrorOf([&] { batches.Next(); }), testing::HasSubstr("no record"));
  }
}

TEST(BatchQueue, GivesTheSameBatchesAndCursors) {
  const NumberSource source({100});
  const BatchOptions options{.seed = 1, .sequences = 3, .weights = {}};
  ShuffledBatches plain(source, options);
  BatchQueue queue(ShuffledBatches(source, options), 2, 60);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(queue.cursor(), plain.cursor());
    EXPECT_EQ(queue.Next().tokens, plain.Next().tokens);
  }
}

TEST(BatchQueue, EndsWhileItsThreadWaitsAndHandsErrorsOn) {
  NumberSource source({100});
  { const BatchQueue unused(ShuffledBatches(source, 1, 3), 1, 60); }
  source.fails = true;
  BatchQueue queue(ShuffledBatches(source, 1, 3), 2, 60);
  try {
    for (int i = 0; i < 100; ++i) queue.Next();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "number 3");
  }
  EXPECT_THROW(queue.Next(), Error);  // and no wait
}

TEST(BatchQueue, WaitsNoLongerThanTheDeadline) {
  class Slow : public NumberSource {
   public:
    Slow() : NumberSource({5}) {}
    bool Add(size_t part, int64_t index, uint64_t key, TokenBatch& batch) const override {
      while (!released) std::this_thread::yield();
      return NumberSource::Add(part, index, key, batch);
    }
    std::atomic<bool> released = false;
  };
  Slow source;
  BatchQueue queue(ShuffledBatches(source, 1, 3), 2, 0.01);
  try {
    queue.Next();
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("queue 'batches'"),
                                             testing::HasSubstr("0.01 s")));
  }
  source.released = true;
}

}  // namespace
}  // namespace pawl::text
