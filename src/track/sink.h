// The waist of tracking: where metrics go. The learner loop writes once per update; files survive a
// killed process line by line, and Flush makes them survive a power cut. Implementations:
// jsonl_sink.h, tensorboard_sink.h, progress_sink.h.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace pawl::track {

// Metrics of one update in order. NaN and infinity mean undefined.
using Metrics = std::vector<std::pair<std::string, double>>;

// The value of a metric, or NaN where it is missing or undefined.
double Value(const Metrics& metrics, const std::string& name);

class Sink {
 public:
  virtual ~Sink() = default;
  // step: environment steps so far. Throws RunError (disk full, ...).
  virtual void Write(int64_t step, const Metrics& metrics) = 0;
  // Everything written so far reaches the disk.
  virtual void Flush() = 0;
};

}  // namespace pawl::track
