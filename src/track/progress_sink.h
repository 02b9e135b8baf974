// The progress line of a run: redrawn in place on a terminal, plain lines now and then elsewhere.
//   reach  [=========>          ]  47 %  70.7k / 150k steps  9.81k steps/s  return 12.3
//   success 87.5 %  8 s left
//   story  [=========>          ]  47 %  940 / 2k updates  31.2k tokens/s  loss 1.53  24 s left
// Written by the learner loop's thread.
#pragma once
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "track/sink.h"

namespace pawl::track {

// A metric on the line, while it is defined.
struct ShownMetric {
  const char* metric;
  const char* label;
  bool percent = false;
};

struct ProgressOptions {
  std::string name;         // of the run, first on the line
  int64_t total_steps = 0;  // of the whole run, in `unit`
  int64_t first_step = 0;   // where this process began (resume)
  std::string unit = "steps";
  // A metric that counts up and whose speed is shown; "" = the steps'. first_count: as first_step.
  std::string speed_of;
  double first_count = 0;
  std::vector<ShownMetric> shown = {{"episode_return", "return"},
                                    {"success_rate", "success", true}};
  std::FILE* out = stdout;
  int live = -1;  // 1: redraw in place, 0: plain lines, -1: live where `out` is a terminal
  int width = 0;  // columns; 0 = the terminal's
  std::function<double()> now_s = {};  // a monotonic clock; the system's by default
};

class ProgressSink : public Sink {
 public:
  explicit ProgressSink(ProgressOptions options);
  // Leaves the last live line standing.
  ~ProgressSink() override;
  void Write(int64_t step, const Metrics& metrics) override;
  void Flush() override;

 private:
  void UpdateRate(int64_t step, double count, double now);
  bool PlainLineDue(int64_t step, double now) const;
  // columns: of a live line, with a bar where it fits; 0: a plain line.
  std::string Line(int64_t step, const Metrics& metrics, int columns) const;
  int Width() const;

  ProgressOptions options_;
  bool live_ = false;
  bool drawn_ = false;  // a live line stands on the terminal
  double last_write_s_ = 0;
  int64_t last_write_step_ = 0;
  double last_draw_s_ = 0;
  int64_t last_draw_step_ = 0;
  bool any_line_ = false;  // something was drawn since the start
  double last_count_ = 0;
  // exponentially fading sums: their quotients are the recent speeds
  double recent_steps_ = 0, recent_count_ = 0, recent_s_ = 0;
};

}  // namespace pawl::track
