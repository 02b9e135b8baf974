// The last 100 finished episodes, from which the training metrics are drawn. Part of the
// checkpoint. Learner's thread.
#pragma once
#include <cstdint>
#include <deque>

#include "core/safetensors.h"

namespace pawl::train {

class EpisodeWindow {
 public:
  static constexpr size_t kSize = 100;
  struct Episode {
    double episode_return = 0;
    double length = 0;
    double success = 0;
  };
  void Add(const Episode& episode);
  bool empty() const { return episodes_.empty(); }
  // Means over the window; NaN when it is empty.
  Episode Mean() const;
  int64_t total() const { return total_; }
  void Save(core::ArrayMap& out) const;
  void Load(const core::ArrayMap& in);

 private:
  std::deque<Episode> episodes_;
  int64_t total_ = 0;  // episodes ever added
};

}  // namespace pawl::train
