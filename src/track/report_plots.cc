#include "track/report_plots.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "track/metric_table.h"
#include "track/number_text.h"
#include "track/plot.h"

namespace pawl::track {
namespace {
constexpr size_t kMaxPoints = 240;
constexpr const char* kPhases[] = {"physics",  "observation", "inference",
                                   "learning", "transport",   "other"};

// One line of a plot from a column; empty x where the run lacks the metric.
Series LineOf(const MetricsTable& metrics, const std::string& metric, const std::string& name,
              int color, const char* x = "env_steps") {
  Series series{.name = name, .color = color};
  if (!metrics.Has(metric)) return series;
  series.x = metrics.Column(x);
  series.y = metrics.Column(metric);
  return ThinOut(series, kMaxPoints);
}

// The evaluations: the rows where there is one, with their intervals.
Series EvaluationsOf(const MetricsTable& metrics, const std::string& metric, const std::string& low,
                     const std::string& high, int color) {
  Series series{.name = "evaluation, 95 % interval", .color = color, .points = true};
  if (!metrics.Has(metric)) return series;
  const auto &x = metrics.Column("env_steps"), &y = metrics.Column(metric);
  const auto &lows = metrics.Column(low), &highs = metrics.Column(high);
  for (size_t row = 0; row < y.size(); ++row) {
    if (!std::isfinite(y[row])) continue;
    series.x.push_back(x[row]);
    series.y.push_back(y[row]);
    series.low.push_back(lows.empty() ? NAN : lows[row]);
    series.high.push_back(highs.empty() ? NAN : highs[row]);
  }
  return series;
}

void AddFilled(Plot& plot, Series series) {
  if (!series.x.empty()) plot.series.push_back(std::move(series));
}

// Training's moving average and the evaluations in one plot.
std::string OutcomePlot(const MetricsTable& metrics, Plot plot, const std::string& training,
                        const std::string& evaluation, const std::string& low,
                        const std::string& high, int color) {
  AddFilled(plot, EvaluationsOf(metrics, evaluation, low, high, 1));
  AddFilled(plot, LineOf(metrics, training, "last 100 training episodes", color));
  std::reverse(plot.series.begin(), plot.series.end());
  return PlotHtml(plot);
}

struct SimplePlot {
  const char* metric;
  int color;
  const char* note = "";
  bool percent = false;
  double y_low = NAN, y_high = NAN, y_floor = NAN;
};

std::string Draw(const MetricsTable& metrics, const SimplePlot& simple,
                 const char* x = "env_steps") {
  const MetricInfo* info = FindMetric(simple.metric);
  Plot plot{.title = info->title,
            .note = simple.note,
            .y_unit = info->unit,
            .percent = simple.percent,
            .y_low = simple.y_low,
            .y_high = simple.y_high,
            .y_floor = simple.y_floor};
  if (plot.note.empty()) plot.note = info->unit;
  if (std::string_view(x) == "tokens") plot.x_title = plot.x_unit = x;
  AddFilled(plot, LineOf(metrics, simple.metric, info->title, simple.color, x));
  return PlotHtml(plot);
}

// Training's loss at every update and that on held-out text, over the tokens.
std::string LossPlot(const MetricsTable& metrics, const char* metric, const char* evaluation,
                     const char* unit) {
  Plot plot{.title = FindMetric(metric)->title,
            .note = unit,
            .y_unit = unit,
            .x_title = "tokens",
            .x_unit = "tokens"};
  AddFilled(plot, LineOf(metrics, metric, "training", 0, "tokens"));
  Series held_out{.name = "held-out text", .color = 1, .points = true};
  const auto &x = metrics.Column("tokens"), &y = metrics.Column(evaluation);
  for (size_t row = 0; row < y.size(); ++row) {
    if (!std::isfinite(y[row])) continue;
    held_out.x.push_back(x[row]);
    held_out.y.push_back(y[row]);
  }
  AddFilled(plot, std::move(held_out));
  return plot.series.empty() ? "" : PlotHtml(plot);
}

// Microseconds per environment step by phase, between points of the run.
std::string TimeSplitPlot(const MetricsTable& metrics) {
  const auto& steps = metrics.Column("env_steps");
  const size_t count = steps.size(), points = std::min(kMaxPoints, count);
  Plot plot{.title = "Time per environment step",
            .note = "µs, by phase",
            .y_unit = "µs",
            .stacked = true};
  int color = 0;
  for (const char* phase : kPhases) {
    const auto& seconds = metrics.Column(std::string(phase) + "_s");
    Series series{.name = phase, .color = color++};
    if (seconds.empty()) continue;
    double seconds_before = 0, steps_before = 0;
    for (size_t point = 0; point < points; ++point) {
      const size_t row = (point + 1) * count / points - 1;
      const double done = steps[row] - steps_before;
      series.x.push_back(steps[row]);
      series.y.push_back(done > 0 ? std::max(0.0, seconds[row] - seconds_before) / done * 1e6
                                  : NAN);
      seconds_before = seconds[row];
      steps_before = steps[row];
    }
    plot.series.push_back(std::move(series));
  }
  return plot.series.empty() ? "" : PlotHtml(plot);
}
}  // namespace

std::string ReportPlots(const MetricsTable& metrics) {
  std::string html;
  html +=
      OutcomePlot(metrics, {.title = "Success rate", .percent = true, .y_low = 0, .y_high = 1},
                  "success_rate", "eval_success_rate", "eval_success_low", "eval_success_high", 2);
  html += OutcomePlot(metrics, {.title = "Return"}, "episode_return", "eval_return",
                      "eval_return_low", "eval_return_high", 0);
  const SimplePlot plots[] = {
      {.metric = "episode_length", .color = 5, .y_low = 0},
      {.metric = "policy_loss", .color = 0},
      {.metric = "value_loss", .color = 1},
      {.metric = "explained_variance",
       .color = 2,
       .note = "of the returns, by the value function",
       .y_high = 1,
       .y_floor = -1},
      {.metric = "approx_kl", .color = 3, .note = "nats, old to new policy", .y_low = 0},
      {.metric = "clip_fraction",
       .color = 4,
       .note = "of the samples",
       .percent = true,
       .y_low = 0},
      {.metric = "entropy", .color = 5},
      {.metric = "policy_std", .color = 3, .y_low = 0},
      {.metric = "grad_norm", .color = 4, .note = "before clipping"},
      {.metric = "learning_rate", .color = 0, .y_low = 0},
      {.metric = "steps_per_s", .color = 2, .y_low = 0},
  };
  for (const SimplePlot& plot : plots) html += Draw(metrics, plot);
  return html + TimeSplitPlot(metrics);
}

std::string LanguagePlots(const MetricsTable& metrics) {
  std::string html = LossPlot(metrics, "loss", "eval_loss", "nats");
  html += LossPlot(metrics, "perplexity", "eval_perplexity", "");
  const SimplePlot plots[] = {
      {.metric = "learning_rate", .color = 0, .y_low = 0},
      {.metric = "grad_norm", .color = 4, .note = "before clipping"},
      {.metric = "tokens_per_s", .color = 2, .y_low = 0},
      {.metric = "mfu",
       .color = 3,
       .note = "of the device's measured rate",
       .percent = true,
       .y_low = 0},
  };
  for (const SimplePlot& plot : plots) html += Draw(metrics, plot, "tokens");
  return html;
}

std::string TimeBar(const MetricsTable& metrics) {
  double total = 0;
  for (const char* phase : kPhases) {
    const double seconds = metrics.Last(std::string(phase) + "_s");
    if (std::isfinite(seconds)) total += seconds;
  }
  if (!(total > 0)) return "";
  std::string bar, legend;
  for (int i = 0; i < static_cast<int>(std::size(kPhases)); ++i) {
    const double seconds = metrics.Last(std::string(kPhases[i]) + "_s");
    if (!std::isfinite(seconds)) continue;
    const double share = seconds / total;
    bar += fmt::format("<i class=\"b{}\" style=\"width:{:.2f}%\" title=\"{}\"></i>", i, share * 100,
                       kPhases[i]);
    legend += fmt::format("<span><i class=\"b{}\"></i>{} <b>{:.0f} %</b> <small>{}</small></span>",
                          i, kPhases[i], share * 100, DurationText(seconds));
  }
  return fmt::format(
      "<section><h2>Where the time went</h2><div class=\"timebar\">{}</div><div class=\"legend "
      "wide\">{}</div></section>",
      bar, legend);
}

}  // namespace pawl::track
