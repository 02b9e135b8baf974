#include "train/episode_window.h"

#include <limits>
#include <vector>

namespace pawl::train {

void EpisodeWindow::Add(const Episode& episode) {
  episodes_.push_back(episode);
  if (episodes_.size() > kSize) episodes_.pop_front();
  ++total_;
}

EpisodeWindow::Episode EpisodeWindow::Mean() const {
  if (episodes_.empty()) {
    constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
    return {kNaN, kNaN, kNaN};
  }
  Episode sum;
  for (const Episode& e : episodes_) {
    sum.episode_return += e.episode_return;
    sum.length += e.length;
    sum.success += e.success;
  }
  const double n = static_cast<double>(episodes_.size());
  return {sum.episode_return / n, sum.length / n, sum.success / n};
}

void EpisodeWindow::Save(core::ArrayMap& out) const {
  std::vector<double> rows;
  for (const Episode& e : episodes_)
    rows.insert(rows.end(), {e.episode_return, e.length, e.success});
  out.Put<double>("episodes/last", rows, {static_cast<int64_t>(episodes_.size()), 3});
  out.PutScalar<int64_t>("episodes/total", total_);
}

void EpisodeWindow::Load(const core::ArrayMap& in) {
  const auto rows = in.Get<double>("episodes/last");
  episodes_.clear();
  for (size_t i = 0; i + 2 < rows.size(); i += 3)
    episodes_.push_back({rows[i], rows[i + 1], rows[i + 2]});
  total_ = in.GetScalar<int64_t>("episodes/total");
}

}  // namespace pawl::train
