// Counts the steps of an episode and cuts it at the limit. Held by every environment and saved with
// it.
#pragma once
#include "core/bytes.h"
#include "envs/env.h"

namespace pawl::envs {

class TimeLimit {
 public:
  // max_steps 0: no limit.
  explicit TimeLimit(int max_steps) : max_steps_(max_steps) {}
  int max_steps() const { return max_steps_; }
  int elapsed() const { return elapsed_; }
  void Reset() { elapsed_ = 0; }
  // Counts one step. An episode ends for one reason: a step that terminates at the limit is not
  // also truncated.
  void Count(StepResult& result) {
    ++elapsed_;
    if (max_steps_ > 0 && elapsed_ >= max_steps_ && !result.terminated) result.truncated = true;
  }
  void SaveState(core::ByteWriter& out) const { out.Put(elapsed_); }
  void LoadState(core::ByteReader& in) { in.Get(elapsed_); }

 private:
  int max_steps_;
  int elapsed_ = 0;
};

}  // namespace pawl::envs
