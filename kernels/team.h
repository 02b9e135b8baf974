// The threads of the language kernels and their scratch memory: handed to every call, so that
// nothing is allocated inside one. A kernel splits its work into items whose results do not depend
// on who computes them. One caller at a time.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/buffer.h"
#include "core/thread_pool.h"

namespace pawl::kernels {

class Team {
 public:
  explicit Team(int threads) : pool_(threads), scratch_(threads) {}

  int size() const { return pool_.size(); }
  // Calls f(i) or f(i, worker) for every i in [0, items).
  template <class F>
  void Run(int64_t items, const F& f) {
    pool_.Run(items, f);
  }
  // At least `floats` floats of one worker's own memory; contents undefined, valid until this
  // worker asks again.
  float* Scratch(int worker, size_t floats) { return Grow(scratch_[worker], floats); }
  // The same, seen by all workers; asked for outside Run. A kernel that calls other kernels keeps
  // its own memory in another slot than theirs, which is 0.
  static constexpr int kSharedSlots = 2;
  float* Shared(size_t floats, int slot = 0) { return Grow(shared_[slot], floats); }

 private:
  static float* Grow(core::Buffer<float>& buffer, size_t floats) {
    if (buffer.size() < floats) buffer = core::Buffer<float>(floats);
    return buffer.data();
  }
  core::ThreadPool pool_;
  std::vector<core::Buffer<float>> scratch_;
  core::Buffer<float> shared_[kSharedSlots];
};

}  // namespace pawl::kernels
