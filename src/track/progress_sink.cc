#include "track/progress_sink.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "core/clock.h"
#include "track/number_text.h"

namespace pawl::track {
namespace {
constexpr double kRedrawSeconds = 0.1;
constexpr double kSpeedMemorySeconds = 15;  // how far back "recent" reaches
// plain lines: the first after a second, then at each twentieth of the run but not more often than
// every 2 s, and at least every 30 s
constexpr double kPlainFirstSeconds = 1, kPlainLeastSeconds = 2, kPlainMostSeconds = 30;
constexpr double kPlainShare = 0.05;
constexpr int kBarWidth = 20, kLeastBarWidth = 5;
}  // namespace

ProgressSink::ProgressSink(ProgressOptions options) : options_(std::move(options)) {
  if (!options_.now_s) options_.now_s = core::MonotonicSeconds;
  live_ = options_.live < 0 ? ::isatty(::fileno(options_.out)) != 0 : options_.live == 1;
  last_write_s_ = last_draw_s_ = options_.now_s();
  last_write_step_ = last_draw_step_ = options_.first_step;
  last_count_ = options_.first_count;
}

ProgressSink::~ProgressSink() {
  if (live_ && drawn_) fmt::print(options_.out, "\n");
  std::fflush(options_.out);
}

void ProgressSink::UpdateRate(int64_t step, double count, double now) {
  const double elapsed = std::max(0.0, now - last_write_s_);
  const double fade = std::exp(-elapsed / kSpeedMemorySeconds);
  recent_steps_ = recent_steps_ * fade + static_cast<double>(step - last_write_step_);
  recent_count_ = recent_count_ * fade + (count - last_count_);
  recent_s_ = recent_s_ * fade + elapsed;
  last_count_ = count;
  last_write_s_ = now;
  last_write_step_ = step;
}

bool ProgressSink::PlainLineDue(int64_t step, double now) const {
  const double since = now - last_draw_s_;
  if (step >= options_.total_steps) return step > last_draw_step_ || !any_line_;
  if (!any_line_) return since >= kPlainFirstSeconds;
  const double share =
      static_cast<double>(step - last_draw_step_) / std::max<int64_t>(1, options_.total_steps);
  return since >= kPlainMostSeconds || (since >= kPlainLeastSeconds && share >= kPlainShare);
}

int ProgressSink::Width() const {
  if (options_.width > 0) return options_.width;
  winsize size{};
  const bool known = ::ioctl(::fileno(options_.out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 100;
}

std::string ProgressSink::Line(int64_t step, const Metrics& metrics, int columns) const {
  const double total = static_cast<double>(std::max<int64_t>(1, options_.total_steps));
  const double share = std::clamp(static_cast<double>(step) / total, 0.0, 1.0);
  const double speed = recent_s_ > 0 ? recent_steps_ / recent_s_ : 0;
  const double left = std::max(0.0, total - static_cast<double>(step));
  std::string counts = fmt::format("  {} / {} {}", CountText(static_cast<double>(step)),
                                   CountText(total), options_.unit);
  const bool own = options_.speed_of.empty();
  std::string rate;
  if (speed > 0) {
    rate = fmt::format("  {} {}/s", CountText(own ? speed : recent_count_ / recent_s_),
                       own ? options_.unit : options_.speed_of);
  }
  std::string rest;
  for (const ShownMetric& shown : options_.shown) {
    const double value = Value(metrics, shown.metric);
    if (!std::isfinite(value)) continue;
    rest += fmt::format("  {} {}", shown.label,
                        shown.percent ? PercentText(value) : ShortNumber(value, 3));
  }
  if (speed > 0 && left > 0) rest += fmt::format("  {} left", DurationText(left / speed));
  const std::string percent = fmt::format("  {:3.0f} %", std::floor(share * 100));
  if (columns == 0) return options_.name + percent + counts + rate + rest;
  // on a narrow terminal what says least goes first: the bar, the speed, the counts
  const auto room = [&] {
    const size_t used =
        options_.name.size() + percent.size() + counts.size() + rate.size() + rest.size();
    return columns - static_cast<int>(used);
  };
  if (room() < 0) rate.clear();
  if (room() < 0) counts.clear();
  std::string bar;
  const int width = std::min(kBarWidth, room() - 4);
  if (width >= kLeastBarWidth) {
    const int filled = static_cast<int>(share * width);
    std::string picture(static_cast<size_t>(width), ' ');
    std::fill_n(picture.begin(), filled, '=');
    if (filled < width) picture[static_cast<size_t>(filled)] = '>';
    bar = fmt::format("  [{}]", picture);
  }
  return (options_.name + bar + percent + counts + rate + rest)
      .substr(0, static_cast<size_t>(columns));
}

void ProgressSink::Write(int64_t step, const Metrics& metrics) {
  const double now = options_.now_s();
  UpdateRate(step, options_.speed_of.empty() ? 0 : Value(metrics, options_.speed_of), now);
  const bool last = step >= options_.total_steps;
  if (live_ ? drawn_ && !last && now - last_draw_s_ < kRedrawSeconds : !PlainLineDue(step, now))
    return;
  if (live_) {
    // one column stays free: a full last column wraps on some terminals
    fmt::print(options_.out, "\r\x1b[K{}", Line(step, metrics, std::max(1, Width() - 1)));
  } else {
    fmt::print(options_.out, "{}\n", Line(step, metrics, /*columns=*/0));
  }
  std::fflush(options_.out);
  drawn_ = any_line_ = true;
  last_draw_s_ = now;
  last_draw_step_ = step;
}

void ProgressSink::Flush() { std::fflush(options_.out); }

}  // namespace pawl::track
