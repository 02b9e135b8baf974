// The progress line of a run: redrawn in place on a terminal, plain lines now and then elsewhere.
//   reach  [=========>          ]  47 %  70.7k / 150k steps  9.81k steps/s  return 12.3
//   success 87.5 %  8 s left
// Written by the learner loop's thread.
#pragma once
#include <cstdio>
#include <functional>
#include <string>

#include "track/sink.h"

namespace pawl::track {

struct ProgressOptions {
  std::string name;         // of the run, first on the line
  int64_t total_steps = 0;  // environment steps of the whole run
  int64_t first_step = 0;   // where this process began (resume)
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
  void UpdateRate(int64_t step, double now);
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
  // exponentially fading sums: their quotient is the recent speed
  double recent_steps_ = 0, recent_s_ = 0;
};

}  // namespace pawl::track
