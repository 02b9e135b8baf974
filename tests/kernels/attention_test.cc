#include "kernels/attention.h"

#include <gmock/gmock.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <limits>
#include <map>

#include "attention_case.h"
#include "core/error.h"
#include "core/rng.h"
#include "targets.h"

namespace pawl::kernels {
namespace {

const float kNaN = std::numeric_limits<float>::quiet_NaN();

std::vector<AttentionSpec> Specs() {
  const std::vector<int> lengths = {1, 63, 64, 65, 2, 127, 129, 200};
  std::vector<AttentionSpec> specs;
  for (auto [kv_heads, group, head_dim, window] : {std::tuple{2, 1, 1, 0},
                                                   {1, 2, 3, 5},
                                                   {2, 3, 8, 0},
                                                   {1, 7, 16, 64},
                                                   {1, 3, 17, 100},
                                                   {2, 1, 48, 0},
                                                   {1, 7, 64, 0},
                                                   {1, 2, 80, 1},
                                                   {1, 1, 128, 0},
                                                   {1, 1, 256, 100},
                                                   {2, 1, 16, 5},
                                                   {1, 1, 32, 64},
                                                   {1, 2, 33, 1}}) {
    specs.push_back(MakeSpec(kv_heads, group, head_dim, window, lengths));
  }
  return specs;
}

// The oracle is slow: once per case, not per instruction set.
const AttentionOracle& CachedOracle(AttentionCase& c, int sequence) {
  static std::map<std::pair<std::string, int>, AttentionOracle> cache;
  const auto key = std::pair(Name(c.spec), sequence);
  const auto found = cache.find(key);
  return found != cache.end() ? found->second : cache[key] = Oracle(c, sequence);
}

// Largest |x - want| over its bound; x has rows of `width` elements, `stride` apart.
double WorstError(const float* x, int64_t width, int64_t stride,
                  const AttentionOracle::Values& want) {
  double worst = 0;
  for (size_t i = 0; i < want.value.size(); ++i) {
    const double error = std::fabs(x[i / width * stride + i % width] - want.value[i]);
    // NaN is as wrong as can be
    const double share = error / (want.error[i] * 0x1p-24 + 1e-30);
    worst = std::isnan(share) ? INFINITY : std::max(worst, share);
  }
  return worst;
}

// Whether rows [begin, end) of two row-major arrays are the same bits.
bool SameRows(const float* a, const float* b, int64_t stride, int64_t begin, int64_t end) {
  return SameBits(a + begin * stride, b + begin * stride, (end - begin) * stride);
}

class Attention : public OnEveryTarget {};

TEST_P(Attention, AgreesWithADoubleLoop) {
  Team team(2);
  for (const AttentionSpec& spec : Specs()) {
    AttentionCase c(spec);
    c.Forward(team);
    const int64_t heads = spec.shape.heads, width = heads * spec.shape.head_dim;
    for (size_t i = 0; i < spec.lengths.size(); ++i) {
      const AttentionOracle& want = CachedOracle(c, i);
      EXPECT_LT(WorstError(c.Q(c.out, i), width, c.q_stride, want.out), 1)
          << Name(spec) << ", length " << spec.lengths[i];
      EXPECT_LT(WorstError(c.LogSum(i), heads, heads, want.log_sum), 1)
          << Name(spec) << ", length " << spec.lengths[i];
    }
  }
}

TEST_P(Attention, GradientsAgreeWithADoubleLoop) {
  Team team(2);
  for (const AttentionSpec& spec : Specs()) {
    AttentionCase c(spec);
    c.Forward(team);
    c.Backward(team);
    const int64_t width = spec.shape.heads * spec.shape.head_dim;
    const int64_t kv_width = spec.shape.kv_heads * spec.shape.head_dim;
    for (size_t i = 0; i < spec.lengths.size(); ++i) {
      const AttentionOracle& want = CachedOracle(c, i);
      const auto where = Name(spec) + ", length " + std::to_string(spec.lengths[i]);
      EXPECT_LT(WorstError(c.Q(c.dq, i), width, c.q_stride, want.dq), 1) << where;
      EXPECT_LT(WorstError(c.Kv(c.dk, i), kv_width, c.kv_stride, want.dk), 1) << where;
      EXPECT_LT(WorstError(c.Kv(c.dv, i), kv_width, c.kv_stride, want.dv), 1) << where;
    }
  }
}

TEST_P(Attention, GradientsAgreeWithFiniteDifferencesOfTheOracle) {
  Team team(1);
  for (const AttentionSpec& spec : {MakeSpec(2, 2, 5, 0, {9}), MakeSpec(1, 3, 4, 3, {67})}) {
    AttentionCase c(spec);
    c.Forward(team);
    c.Backward(team);
    core::Philox rng(7, core::Role::kTest, 0, 0);
    for (auto [x, grad, stride] : {std::tuple{&c.q, &c.dq, c.q_stride},
                                   {&c.k, &c.dk, c.kv_stride},
                                   {&c.v, &c.dv, c.kv_stride}}) {
      const int64_t width = stride == c.q_stride ? stride - 3 : stride - 5;
      for (int draw = 0; draw < 20; ++draw) {
        const size_t at = rng.Below(spec.lengths[0]) * stride + rng.Below(width);
        const float was = (*x)[at], high = was + 1e-3f, low = was - 1e-3f;
        (*x)[at] = high;
        const double above = OracleLoss(c, 0);
        (*x)[at] = low;
        const double below = OracleLoss(c, 0);
        (*x)[at] = was;
        // the third derivative times 1e-6, and float32's rounding of sums of 67 terms
        EXPECT_NEAR((*grad)[at], (above - below) / (double(high) - low), 1e-4) << Name(spec);
      }
    }
  }
}

TEST_P(Attention, ASequenceIsTheSameBitsAloneAndPackedByAnyThreads) {
  for (AttentionSpec spec : Specs()) {
    Team one(1);
    std::vector<AttentionCase> alone;
    for (size_t i = 0; i < spec.lengths.size(); ++i) {
      AttentionSpec single = spec;
      single.lengths = {spec.lengths[i]};
      single.seed = spec.seed + i;
      AttentionCase c(single);
      c.Forward(one);
      c.Backward(one);
      alone.push_back(std::move(c));
    }
    for (int threads : {1, 2, 3}) {
      Team team(threads);
      spec.first_row = 11 * threads;
      spec.gap = threads - 1;
      AttentionCase c(spec);
      c.Forward(team);
      c.Backward(team);
      for (size_t i = 0; i < alone.size(); ++i) {
        const int64_t n = spec.lengths[i];
        const auto where = Name(spec) + ", length " + std::to_string(n);
        AttentionCase& a = alone[i];
        ASSERT_TRUE(SameRows(c.Q(c.out, i), a.out.data(), c.q_stride, 0, n)) << where;
        ASSERT_TRUE(SameRows(c.LogSum(i), a.log_sum.data(), spec.shape.heads, 0, n)) << where;
        ASSERT_TRUE(SameRows(c.Q(c.dq, i), a.dq.data(), c.q_stride, 0, n)) << where;
        ASSERT_TRUE(SameRows(c.Kv(c.dk, i), a.dk.data(), c.kv_stride, 0, n)) << where;
        ASSERT_TRUE(SameRows(c.Kv(c.dv, i), a.dv.data(), c.kv_stride, 0, n)) << where;
      }
    }
  }
}

TEST_P(Attention, PrefillInAnyChunksAndDecodeGiveTheBitsOfTheWhole) {
  Team team(2);
  for (AttentionSpec spec : Specs()) {
    spec.lengths = {200};
    AttentionCase c(spec);
    c.Forward(team);
    const std::vector<float> whole = c.out, whole_log_sum = c.log_sum;
    for (int64_t chunk : {1, 7, 64, 65}) {
      std::fill(c.out.begin(), c.out.end(), 0);
      std::fill(c.log_sum.begin(), c.log_sum.end(), 0);
      for (int64_t first = 0; first < 200; first += chunk) {
        AttentionForwardArgs args = c.ForwardArgs();
        const AttentionSequence part = {.row = first,
                                        .queries = std::min<int64_t>(chunk, 200 - first),
                                        .first_position = first,
                                        .k = c.k.data(),
                                        .v = c.v.data()};
        args.sequences = {&part, 1};
        AttentionForward(args, team);
      }
      ASSERT_TRUE(SameBits(c.out.data(), whole.data(), whole.size()))
          << Name(spec) << ", chunks of " << chunk;
      ASSERT_TRUE(SameBits(c.log_sum.data(), whole_log_sum.data(), whole_log_sum.size()));
    }
  }
}

TEST_P(Attention, KeysThatAQueryDoesNotSeeMayHoldNaN) {
  Team team(1);
  for (AttentionSpec spec : Specs()) {
    spec.lengths = {200};
    AttentionCase clean(spec);
    clean.Forward(team);
    for (int64_t bad : {0, 3, 64, 100, 127, 199}) {
      AttentionCase c(spec);
      std::fill_n(c.k.data() + bad * c.kv_stride, c.kv_stride, kNaN);
      // a bad key alone comes through by its score
      if (bad % 2 == 1) std::fill_n(c.v.data() + bad * c.kv_stride, c.kv_stride, kNaN);
      c.Forward(team);
      const int64_t end =
          spec.shape.window > 0 ? std::min(bad + spec.shape.window, int64_t{200}) : int64_t{200};
      const auto where = Name(spec) + ", key " + std::to_string(bad);
      EXPECT_TRUE(SameRows(c.out.data(), clean.out.data(), c.q_stride, 0, bad)) << where;
      EXPECT_TRUE(SameRows(c.out.data(), clean.out.data(), c.q_stride, end, 200)) << where;
      for (int64_t p = bad; p < end; ++p) {
        const float* row = c.out.data() + p * c.q_stride;
        for (int64_t j = 0; j < spec.shape.heads * spec.shape.head_dim; ++j) {
          ASSERT_TRUE(std::isnan(row[j])) << where << " is lost at query " << p;
        }
      }
    }
  }
}

TEST_P(Attention, ANaNGradientReachesNeitherOtherQueriesNorKeysItDoesNotSee) {
  Team team(1);
  for (AttentionSpec spec : Specs()) {
    spec.lengths = {200};
    AttentionCase clean(spec);
    clean.Forward(team);
    clean.Backward(team);
    for (int64_t bad : {0, 3, 64, 100, 127, 199}) {
      AttentionCase c(spec);
      std::fill_n(c.dout.data() + bad * c.q_stride, c.q_stride, kNaN);
      c.Forward(team);
      c.Backward(team);
      const int64_t first =
          spec.shape.window > 0 ? std::max(bad - spec.shape.window + 1, int64_t{0}) : int64_t{0};
      const auto where = Name(spec) + ", query " + std::to_string(bad);
      EXPECT_TRUE(SameRows(c.dq.data(), clean.dq.data(), c.q_stride, 0, bad)) << where;
      EXPECT_TRUE(SameRows(c.dq.data(), clean.dq.data(), c.q_stride, bad + 1, 200)) << where;
      for (auto [x, want] : {std::pair{&c.dk, &clean.dk}, {&c.dv, &clean.dv}}) {
        EXPECT_TRUE(SameRows(x->data(), want->data(), c.kv_stride, 0, first)) << where;
        EXPECT_TRUE(SameRows(x->data(), want->data(), c.kv_stride, bad + 1, 200)) << where;
        EXPECT_TRUE(std::isnan((*x)[first * c.kv_stride])) << where;
      }
    }
  }
}

TEST_P(Attention, KeysInWindowedBackwardMayHoldNaNWhereNoQuerySeesThem) {
  Team team(1);
  for (AttentionSpec spec : Specs()) {
    spec.lengths = {200};
    AttentionCase clean(spec), c(spec);
    clean.Forward(team);
    clean.Backward(team);
    constexpr int64_t kBad = 100;
    std::fill_n(c.k.data() + kBad * c.kv_stride, c.kv_stride, kNaN);
    std::fill_n(c.v.data() + kBad * c.kv_stride, c.kv_stride, kNaN);
    c.Forward(team);
    c.Backward(team);
    const int64_t end = spec.shape.window > 0 ? kBad + spec.shape.window : 200;
    EXPECT_TRUE(SameRows(c.dq.data(), clean.dq.data(), c.q_stride, 0, kBad)) << Name(spec);
    if (end < 200) {
      EXPECT_TRUE(SameRows(c.dq.data(), clean.dq.data(), c.q_stride, end, 200)) << Name(spec);
    }
  }
}

// Floats that end where a page begins that may not be touched.
class GuardedFloats {
 public:
  explicit GuardedFloats(const std::vector<float>& from) {
    const size_t page = sysconf(_SC_PAGESIZE), bytes = from.size() * sizeof(float);
    size_ = (bytes + page - 1) / page * page + page;
    memory_ = static_cast<char*>(
        mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(memory_ + size_ - page, page, PROT_NONE);
    data_ = reinterpret_cast<float*>(memory_ + size_ - page - bytes);
    std::copy(from.begin(), from.end(), data_);
  }
  ~GuardedFloats() { munmap(memory_, size_); }
  GuardedFloats(const GuardedFloats&) = delete;
  float* data() { return data_; }

 private:
  size_t size_;
  char* memory_;
  float* data_;
};

TEST_P(Attention, MemoryPastTheLastPositionIsNotTouched) {
  Team team(1);
  for (AttentionSpec spec : Specs()) {
    for (int length : {1, 63, 65, 130}) {
      spec.lengths = {length};
      AttentionCase c(spec);
      c.Forward(team);
      c.Backward(team);
      // the last row ends with its last element
      auto guarded = [](std::vector<float> x, int64_t padding) {
        x.resize(x.size() - padding);
        return x;
      };
      GuardedFloats q(guarded(c.q, 3)), k(guarded(c.k, 5)), v(guarded(c.v, 5));
      GuardedFloats out(guarded(c.out, 3)), dout(guarded(c.dout, 3)), dq(guarded(c.dq, 3));
      GuardedFloats dk(guarded(c.dk, 5)), dv(guarded(c.dv, 5)), log_sum(c.log_sum);
      const AttentionSequence sequence = {.queries = length, .k = k.data(), .v = v.data()};
      AttentionBackwardArgs args = c.BackwardArgs();
      args.forward.sequences = {&sequence, 1};
      args.forward.q = q.data();
      args.forward.out = out.data();
      args.forward.log_sum = log_sum.data();
      args.dout = dout.data();
      args.dq = dq.data();
      args.dk = dk.data();
      args.dv = dv.data();
      AttentionForward(args.forward, team);
      AttentionBackward(args, team);
      EXPECT_TRUE(SameBits(out.data(), c.out.data(), c.out.size() - 3)) << Name(spec);
      EXPECT_TRUE(SameBits(dq.data(), c.dq.data(), c.dq.size() - 3)) << Name(spec);
      EXPECT_TRUE(SameBits(dk.data(), c.dk.data(), c.dk.size() - 5)) << Name(spec);
      EXPECT_TRUE(SameBits(dv.data(), c.dv.data(), c.dv.size() - 5)) << Name(spec);
    }
  }
}

TEST_P(Attention, HugeScoresDoNotOverflow) {
  Team team(1);
  for (AttentionSpec spec : Specs()) {
    spec.lengths = {130};
    spec.query_factor = 1e4f;
    AttentionCase c(spec);
    c.Forward(team);
    c.Backward(team);
    const AttentionOracle want = Oracle(c, 0);
    const int64_t heads = spec.shape.heads, width = heads * spec.shape.head_dim;
    EXPECT_LT(WorstError(c.out.data(), width, c.q_stride, want.out), 1) << Name(spec);
    EXPECT_LT(WorstError(c.dq.data(), width, c.q_stride, want.dq), 1) << Name(spec);
    EXPECT_TRUE(std::all_of(c.dk.begin(), c.dk.end(), [](float x) { return std::isfinite(x); }));
  }
}
PAWL_ON_EVERY_TARGET(Attention);

TEST(AttentionArgs, AreChecked) {
  Team team(1);
  AttentionCase c(MakeSpec(2, 2, 4, 0, {3}));
  auto message = [&](auto change) {
    AttentionBackwardArgs args = c.BackwardArgs();
    change(args);
    try {
      AttentionBackward(args, team);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("nothing");
  };
  EXPECT_THAT(message([](auto& a) { a.forward.shape.head_dim = 257; }),
              testing::HasSubstr("head_dim 257"));
  EXPECT_THAT(message([](auto& a) { a.forward.shape.kv_heads = 3; }),
              testing::HasSubstr("kv_heads 3 does not divide heads 4"));
  EXPECT_THAT(message([](auto& a) { a.forward.kv_stride = 7; }), testing::HasSubstr("kv 7 of 8"));
  EXPECT_THAT(message([](auto& a) { a.forward.log_sum = nullptr; }), testing::HasSubstr("log_sum"));
  c.sequences[0].first_position = 1;
  EXPECT_THAT(message([](auto&) {}), testing::HasSubstr("whole sequences"));
}

}  // namespace
}  // namespace pawl::kernels
