// Which sequence is drawn when: permutations that need no memory, and mixtures of files with exact
// shares. The n-th draw of a run is a function of the seed and n, so resuming costs nothing.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/rng.h"

namespace pawl::text {

// A random permutation of 0 .. n - 1 in constant memory (Hoang, Morris and Rogaway, "An Enciphering
// Scheme Based on a Card Shuffle", CRYPTO 2012: swap-or-not).
class Permutation {
 public:
  // n >= 1. Takes its keys from the stream.
  Permutation(int64_t n, core::Philox& rng);
  int64_t At(int64_t i) const;

 private:
  struct Round {
    uint64_t mirror = 0, key = 0;
  };
  uint64_t n_;
  std::vector<Round> rounds_;
};

struct Draw {
  size_t part = 0;
  int64_t index = 0;
  uint64_t epoch_key = 0;  // a random number of the epoch (of the part, where there are weights)
};

class DrawOrder {
 public:
  // Draws whose parts are kept in exact shares: of every kBlock draws a part has its weight's
  // share, rounded to whole draws, at least one.
  static constexpr int64_t kBlock = 4096;

  // sizes: sequences of each part, in all at least one. Without weights an epoch is a permutation
  // of all parts together; with them each part goes through epochs of its own. Throws UserError for
  // weights that do not fit the parts.
  DrawOrder(std::vector<int64_t> sizes, std::span<const double> weights, uint64_t seed);
  Draw At(int64_t draw);
  // Draws of an epoch.
  int64_t epoch_draws() const { return total_; }

 private:
  struct Epoch {
    int64_t number = -1;
    uint64_t key = 0;
    Permutation order;
  };
  const Epoch& EnterEpoch(size_t part, int64_t epoch);
  void EnterBlock(int64_t block);
  std::vector<int64_t> sizes_, starts_;  // starts_: of each part among all
  int64_t total_ = 0;
  uint64_t seed_;
  std::vector<Epoch> epochs_;  // the latest of each part; of all together without weights
  // with weights
  std::vector<int64_t> quotas_;  // draws of each part in a block
  int64_t block_ = -1;
  std::vector<uint16_t> block_parts_;  // [kBlock] part of each draw
  std::vector<uint16_t> block_ranks_;  // [kBlock] draws of that part before it in the block
};

}  // namespace pawl::text
