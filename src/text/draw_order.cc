#include "text/draw_order.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "core/error.h"

namespace pawl::text {
namespace {
// far more than a permutation of this kind needs to look random; a draw costs half a microsecond
constexpr int kRounds = 128;
// [data] has no stream of its own among the minibatches' (core/rng.h): a language run shuffles
// nothing else. Parts count from 0, blocks of a mixture are this one.
constexpr uint64_t kBlockStream = UINT32_MAX;

// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
uint64_t Mix(uint64_t x) {
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
  x = (x ^ x >> 27) * 0x94D049BB133111EBu;
  return x ^ x >> 31;
}

// Draws of each part in a block: the largest remainders, and one for every weight above zero.
std::vector<int64_t> Quotas(std::span<const double> weights, std::span<const int64_t> sizes) {
  const auto refuse = [](std::string what, std::string expected) {
    throw UserError(
        {.what = std::move(what), .where = "data.weights", .expected = std::move(expected)});
  };
  if (weights.size() != sizes.size()) {
    refuse(fmt::format("{} weights for {} files", weights.size(), sizes.size()),
           "a weight for each of data.files");
  }
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  if (sum <= 0 || weights.size() > DrawOrder::kBlock / 2)
    refuse("no weight is above 0, or too many files", "1 to 2048 files, a weight above 0");
  std::vector<int64_t> quotas;
  std::vector<std::pair<double, size_t>> remainders;
  for (size_t part = 0; part < weights.size(); ++part) {
    if (weights[part] > 0 && sizes[part] == 0)
      refuse(fmt::format("file {} has a weight, but nothing to draw", part + 1), "weight 0 for it");
    const double share = weights[part] / sum * DrawOrder::kBlock;
    const auto whole = static_cast<int64_t>(share);
    quotas.push_back(weights[part] > 0 ? std::max<int64_t>(1, whole) : 0);
    remainders.emplace_back(static_cast<double>(whole) - share, part);  // largest first when sorted
  }
  std::ranges::sort(remainders);
  int64_t left = DrawOrder::kBlock - std::accumulate(quotas.begin(), quotas.end(), int64_t{0});
  for (size_t i = 0; left > 0; ++i) {
    const size_t part = remainders[i % remainders.size()].second;
    if (weights[part] > 0) ++quotas[part], --left;
  }
  while (left < 0) --*std::ranges::max_element(quotas), ++left;
  return quotas;
}
}  // namespace

Permutation::Permutation(int64_t n, core::Philox& rng) : n_(static_cast<uint64_t>(n)) {
  PAWL_CHECK_GE(n, 1);
  rounds_.resize(kRounds);
  for (Round& round : rounds_) {
    // the high bits of a product: n is far below 2^64, so the bias is nothing
    const auto wide = static_cast<unsigned __int128>(rng.NextU64()) * n_;
    round.mirror = static_cast<uint64_t>(wide >> 64);
    round.key = rng.NextU64();
  }
}

int64_t Permutation::At(int64_t i) const {
  auto x = static_cast<uint64_t>(i);
  for (const Round& round : rounds_) {
    // each round pairs x with its mirror image, and swaps the two or not
    const uint64_t other = round.mirror >= x ? round.mirror - x : round.mirror + n_ - x;
    if ((Mix(std::max(x, other) ^ round.key) & 1) != 0) x = other;
  }
  return static_cast<int64_t>(x);
}

DrawOrder::DrawOrder(std::vector<int64_t> sizes, std::span<const double> weights, uint64_t seed)
    : sizes_(std::move(sizes)), seed_(seed) {
  for (const int64_t size : sizes_) {
    starts_.push_back(total_);
    total_ += size;
  }
  PAWL_CHECK_GE(total_, 1, "no sequence to learn from");
  if (!weights.empty()) quotas_ = Quotas(weights, sizes_);
  core::Philox unused(seed, core::Role::kShuffle, 0, 0);
  epochs_.assign(weights.empty() ? 1 : sizes_.size(), {-1, 0, Permutation(1, unused)});
}

const DrawOrder::Epoch& DrawOrder::EnterEpoch(size_t part, int64_t epoch) {
  if (epochs_[part].number != epoch) {
    core::Philox rng(seed_, core::Role::kShuffle, part, static_cast<uint64_t>(epoch));
    const uint64_t key = rng.NextU64() | 1;  // never that of "in order"
    const int64_t size = quotas_.empty() ? total_ : sizes_[part];
    epochs_[part] = {epoch, key, Permutation(size, rng)};
  }
  return epochs_[part];
}

void DrawOrder::EnterBlock(int64_t block) {
  if (block_ == block) return;
  core::Philox rng(seed_, core::Role::kShuffle, kBlockStream, static_cast<uint64_t>(block));
  block_parts_.clear();
  for (size_t part = 0; part < quotas_.size(); ++part)
    block_parts_.insert(block_parts_.end(), static_cast<size_t>(quotas_[part]),
                        static_cast<uint16_t>(part));
  // Fisher-Yates
  for (auto i = static_cast<uint32_t>(kBlock); i > 1; --i)
    std::swap(block_parts_[i - 1], block_parts_[rng.Below(i)]);
  std::vector<uint16_t> seen(quotas_.size(), 0);
  block_ranks_.clear();
  for (const uint16_t part : block_parts_) block_ranks_.push_back(seen[part]++);
  block_ = block;
}

Draw DrawOrder::At(int64_t draw) {
  if (quotas_.empty()) {
    const Epoch& epoch = EnterEpoch(0, draw / total_);
    const int64_t index = epoch.order.At(draw % total_);
    const auto after = std::upper_bound(starts_.begin(), starts_.end(), index);
    const auto part = static_cast<size_t>(after - starts_.begin()) - 1;
    return {part, index - starts_[part], epoch.key};
  }
  EnterBlock(draw / kBlock);
  const auto at = static_cast<size_t>(draw % kBlock);
  const size_t part = block_parts_[at];
  const int64_t of_part = block_ * quotas_[part] + block_ranks_[at];
  const Epoch& epoch = EnterEpoch(part, of_part / sizes_[part]);
  return {part, epoch.order.At(of_part % sizes_[part]), epoch.key};
}

}  // namespace pawl::text
