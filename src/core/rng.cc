#include "core/rng.h"

#include <cmath>
#include <numbers>

#include "core/error.h"

namespace pawl::core {

Philox::Philox(uint64_t seed, Role role, uint64_t index, uint64_t step)
    : key_{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)},
      counter_{0, static_cast<uint32_t>(index), static_cast<uint32_t>(step),
               static_cast<uint32_t>(role) << 24 | static_cast<uint32_t>(step >> 32)} {
  PAWL_CHECK(index < (uint64_t{1} << 32) && step < (uint64_t{1} << 56), "stream index {} step {}",
             index, step);
}

std::array<uint32_t, 4> Philox::Block(std::array<uint32_t, 4> counter,
                                      std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    uint64_t p0 = uint64_t{0xD2511F53u} * counter[0];
    uint64_t p1 = uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(p1),
               static_cast<uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(p0)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

uint32_t Philox::NextU32() {
  if (used_ == 4) {
    buffer_ = Block(counter_, key_);
    ++counter_[0];
    used_ = 0;
  }
  return buffer_[used_++];
}

uint32_t Philox::Below(uint32_t n) {
  PAWL_DCHECK(n >= 1);
  uint64_t product = uint64_t{NextU32()} * n;
  if (static_cast<uint32_t>(product) < n) {
    const uint32_t reject_below = -n % n;
    while (static_cast<uint32_t>(product) < reject_below) product = uint64_t{NextU32()} * n;
  }
  return static_cast<uint32_t>(product >> 32);
}

double Philox::Normal() {
  if (has_spare_) {
    has_spare_ = 0;
    return spare_;
  }
  // 1 - u lies in (0, 1]: the logarithm is finite
  const double radius = std::sqrt(-2.0 * std::log(1.0 - Uniform()));
  const double angle = 2.0 * std::numbers::pi * Uniform();
  spare_ = radius * std::sin(angle);
  has_spare_ = 1;
  return radius * std::cos(angle);
}

}  // namespace pawl::core
