#include "core/buffer.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "core/error.h"

namespace pawl::core::internal {
namespace {
constexpr size_t kAlignment = 64;
constexpr size_t kLargePage = size_t{2} << 20;

size_t RoundUp(size_t size, size_t unit) { return (size + unit - 1) / unit * unit; }

// A mapping that starts and ends at a 2 MiB page: one page too much is mapped and cut off again.
void* MapLarge(size_t size) {
  void* mapped = mmap(nullptr, size + kLargePage, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  const auto base = reinterpret_cast<uintptr_t>(mapped);
  const size_t before = RoundUp(base, kLargePage) - base;
  if (before > 0) munmap(mapped, before);
  auto* data = static_cast<char*>(mapped) + before;
  if (before < kLargePage) munmap(data + size, kLargePage - before);
  madvise(data, size, MADV_HUGEPAGE);  // a wish: without large pages all works, slower
  return data;
}
}  // namespace

void* AllocateZeroed(size_t size_bytes) {
  void* data = nullptr;
  if (size_bytes >= kLargePage) {
    data = MapLarge(RoundUp(size_bytes, kLargePage));
  } else {
    const size_t size = RoundUp(std::max<size_t>(size_bytes, 1), kAlignment);
    data = std::aligned_alloc(kAlignment, size);
    if (data != nullptr) std::memset(data, 0, size);
  }
  if (data == nullptr) {
    throw RunError({.what = fmt::format("out of memory: {} bytes are not to be had", size_bytes),
                    .where = "a buffer of numbers",
                    .hint = "a smaller model, fewer tokens at once, a limit (ulimit -v)?"});
  }
  return data;
}

void Release(void* data, size_t size_bytes) noexcept {
  if (data == nullptr) return;
  if (size_bytes >= kLargePage) {
    munmap(data, RoundUp(size_bytes, kLargePage));
  } else {
    std::free(data);
  }
}

}  // namespace pawl::core::internal
