#include "track/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "track/axis.h"
#include "track/number_text.h"

namespace pawl::track {
namespace {
constexpr double kInfinity = std::numeric_limits<double>::infinity();
// the drawing's own units; the page scales it to its column
constexpr double kWidth = 560, kHeight = 250;
constexpr double kLeft = 52, kRight = 14, kTop = 10, kBottom = 34;
// values that span more than this (all above zero) get a logarithmic axis
constexpr double kLogSpan = 300;

struct Range {
  double low = kInfinity, high = -kInfinity;
  void Add(double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
};

struct Frame {
  Axis x, y;
  double X(double value) const { return kLeft + x.Place(value) * (kWidth - kLeft - kRight); }
  double Y(double value) const {
    const double place = std::clamp(y.Place(value), 0.0, 1.0);
    return kHeight - kBottom - place * (kHeight - kTop - kBottom);
  }
};

// Lowest and highest of lines and points. A line's band widens the range by at most its own height
// each way, so that one outlier does not flatten the curve.
Range YRange(const Plot& plot) {
  Range lines, bands;
  for (const Series& series : plot.series) {
    for (const double y : series.y) lines.Add(y);
    Range& around = series.points ? lines : bands;
    for (const double y : series.low) around.Add(y);
    for (const double y : series.high) around.Add(y);
  }
  Range range = lines;
  if (!bands.empty() && !lines.empty()) {
    const double height = lines.high - lines.low;
    range.Add(std::max(bands.low, lines.low - height));
    range.Add(std::min(bands.high, lines.high + height));
  }
  range.Add(plot.y_low);
  range.Add(plot.y_high);
  if (std::isfinite(plot.y_floor)) range.low = std::max(range.low, plot.y_floor);
  return range;
}

// Each series of a stack becomes the sum of itself and those below, low = the sum below.
std::vector<Series> Stack(const std::vector<Series>& parts) {
  std::vector<Series> stacked = parts;
  for (size_t i = 0; i < stacked.size(); ++i) {
    Series& part = stacked[i];
    part.low = i == 0 ? std::vector<double>(part.y.size(), 0.0) : stacked[i - 1].y;
    for (size_t k = 0; k < part.y.size(); ++k)
      part.y[k] = part.low[k] + (std::isfinite(part.y[k]) ? part.y[k] : 0);
    part.high = part.y;
  }
  return stacked;
}

void AppendPoint(std::string& path, char command, double x, double y) {
  path += fmt::format("{}{:.1f} {:.1f}", command, x, y);
}

std::string LinePath(const Series& series, const Frame& frame) {
  std::string path;
  bool pen_down = false;
  for (size_t i = 0; i < series.x.size(); ++i) {
    if (!std::isfinite(series.y[i])) {
      pen_down = false;
      continue;
    }
    AppendPoint(path, pen_down ? 'L' : 'M', frame.X(series.x[i]), frame.Y(series.y[i]));
    pen_down = true;
  }
  return path;
}

// A closed area between low and high for each stretch without a gap.
std::string BandPath(const Series& series, const Frame& frame) {
  std::string path;
  const size_t count = series.low.size();
  for (size_t begin = 0; begin < count; ++begin) {
    size_t end = begin;
    while (end < count && std::isfinite(series.low[end]) && std::isfinite(series.high[end])) ++end;
    for (size_t i = begin; i < end; ++i) {
      AppendPoint(path, i == begin ? 'M' : 'L', frame.X(series.x[i]), frame.Y(series.high[i]));
    }
    for (size_t i = end; i > begin; --i)
      AppendPoint(path, 'L', frame.X(series.x[i - 1]), frame.Y(series.low[i - 1]));
    if (end > begin) path += 'Z';
    begin = end;
  }
  return path;
}

std::string PointMarks(const Series& series, const Frame& frame) {
  std::string marks;
  for (size_t i = 0; i < series.x.size(); ++i) {
    if (!std::isfinite(series.y[i])) continue;
    const double x = frame.X(series.x[i]);
    const bool interval =
        i < series.low.size() && std::isfinite(series.low[i]) && std::isfinite(series.high[i]);
    if (interval) {
      const double low = frame.Y(series.low[i]), high = frame.Y(series.high[i]);
      marks += fmt::format(
          "<path class=\"bar s{0}\" d=\"M{1:.1f} {2:.1f}V{3:.1f}M{4:.1f} {2:.1f}h6M{4:.1f} "
          "{3:.1f}h6\"/>",
          series.color, x, low, high, x - 3);
    }
    marks += fmt::format("<circle class=\"f{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.2\"/>",
                         series.color, x, frame.Y(series.y[i]));
  }
  return marks;
}

std::string AxesSvg(const Frame& frame, const std::string& x_title) {
  std::string svg;
  const double bottom = kHeight - kBottom;
  for (const Tick& tick : frame.y.ticks) {
    const double y = frame.Y(tick.value);
    svg += fmt::format("<path class=\"grid\" d=\"M{} {:.1f}H{}\"/>", kLeft, y, kWidth - kRight);
    svg += fmt::format("<text class=\"yt\" x=\"{}\" y=\"{:.1f}\">{}</text>", kLeft - 7, y + 3.5,
                       EscapeHtml(tick.label));
  }
  for (const Tick& tick : frame.x.ticks) {
    const double x = frame.X(tick.value);
    svg += fmt::format("<path class=\"axis\" d=\"M{:.1f} {}v4\"/>", x, bottom);
    svg += fmt::format("<text class=\"xt\" x=\"{:.1f}\" y=\"{}\">{}</text>", x, bottom + 15,
                       EscapeHtml(tick.label));
  }
  svg += fmt::format("<path class=\"axis\" d=\"M{} {}H{}\"/>", kLeft, bottom, kWidth - kRight);
  svg += fmt::format("<text class=\"xt title\" x=\"{}\" y=\"{}\">{}</text>",
                     (kLeft + kWidth - kRight) / 2, kHeight - 4, EscapeHtml(x_title));
  return svg;
}

std::string SeriesSvg(const Series& series, const Frame& frame, bool stacked) {
  if (series.points) return PointMarks(series, frame);
  std::string svg;
  if (!series.low.empty()) {
    svg += fmt::format("<path class=\"{} f{}\" d=\"{}\"/>", stacked ? "area" : "band", series.color,
                       BandPath(series, frame));
  }
  if (!stacked)
    svg +=
        fmt::format("<path class=\"line s{}\" d=\"{}\"/>", series.color, LinePath(series, frame));
  return svg;
}

// Numbers short enough for a page, exact enough for a pointer.
std::string JsonList(const std::vector<double>& values) {
  std::string list = "[";
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0) list += ',';
    list += std::isfinite(values[i]) ? fmt::format("{:.6g}", values[i]) : "null";
  }
  return list + "]";
}

std::string JsonText(const std::string& text) {
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') json += '\\';
    // "</script>" inside would end the element
    json += c == '<' ? "\\u003c" : std::string(1, c);
  }
  return json + "\"";
}

// What the page's script needs to show values under the pointer.
std::string DataScript(const Plot& plot, const Frame& frame) {
  std::string json = fmt::format(
      "{{\"left\":{},\"right\":{},\"x0\":{:.9g},\"x1\":{:.9g},\"percent\":{},\"unit\":{},"
      "\"x_unit\":{},\"series\":[",
      kLeft, kWidth - kRight, frame.x.low, frame.x.high, plot.percent, JsonText(plot.y_unit),
      JsonText(plot.x_unit));
  for (size_t i = 0; i < plot.series.size(); ++i) {
    const Series& series = plot.series[i];
    json +=
        fmt::format("{}{{\"name\":{},\"color\":{},\"x\":{},\"y\":{}", i > 0 ? "," : "",
                    JsonText(series.name), series.color, JsonList(series.x), JsonList(series.y));
    if (!series.low.empty())
      json += fmt::format(",\"low\":{},\"high\":{}", JsonList(series.low), JsonList(series.high));
    json += "}";
  }
  return "<script type=\"application/json\">" + json + "]}</script>";
}

std::string Legend(const Plot& plot) {
  if (plot.series.size() < 2) return "";
  std::string legend = "<span class=\"legend\">";
  for (const Series& series : plot.series) {
    legend += fmt::format("<span><i class=\"b{} {}\"></i>{}</span>", series.color,
                          series.points ? "dot" : "", EscapeHtml(series.name));
  }
  return legend + "</span>";
}
}  // namespace

std::string EscapeHtml(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

Series ThinOut(const Series& series, size_t max_points) {
  const size_t count = series.x.size();
  if (count <= max_points) return series;
  Series thin{.name = series.name, .color = series.color};
  for (size_t bucket = 0; bucket < max_points; ++bucket) {
    const size_t begin = bucket * count / max_points, end = (bucket + 1) * count / max_points;
    Range range;
    double sum = 0;
    int finite = 0;
    for (size_t i = begin; i < end; ++i) {
      if (!std::isfinite(series.y[i])) continue;
      range.Add(series.y[i]);
      sum += series.y[i];
      ++finite;
    }
    thin.x.push_back(series.x[end - 1]);
    thin.y.push_back(finite > 0 ? sum / finite : NAN);
    thin.low.push_back(finite > 0 ? range.low : NAN);
    thin.high.push_back(finite > 0 ? range.high : NAN);
  }
  return thin;
}

std::string PlotHtml(const Plot& plot) {
  Plot drawn = plot;
  if (plot.stacked) drawn.series = Stack(plot.series);
  Range x_range;
  for (const Series& series : drawn.series) {
    for (size_t i = 0; i < series.x.size(); ++i) {
      if (std::isfinite(series.y[i])) x_range.Add(series.x[i]);
    }
  }
  if (x_range.empty()) return "";
  const Range range = YRange(drawn);
  Frame frame;
  frame.x = LinearAxis(std::min(0.0, x_range.low), x_range.high, 6, /*round=*/false);
  const bool log =
      !plot.percent && !plot.stacked && range.low > 0 && range.high / range.low > kLogSpan;
  frame.y = log ? LogAxis(range.low, range.high)
                : LinearAxis(range.low, range.high, 5, /*round=*/true, plot.percent);

  std::string svg;
  // from the top of a stack down, so that every part shows its upper edge
  for (auto series = drawn.series.rbegin(); series != drawn.series.rend(); ++series) {
    svg += SeriesSvg(*series, frame, plot.stacked);
  }
  const std::string note =
      plot.note + (log ? (plot.note.empty() ? "log scale" : ", log scale") : "");
  return fmt::format(
      "<figure class=\"plot\"><figcaption><b>{}</b>{}{}</figcaption><svg viewBox=\"0 0 {} {}\" "
      "role=\"img\" "
      "aria-label=\"{}\">{}{}<path class=\"cursor\" d=\"M0 {}V{}\"/></svg>{}</figure>\n",
      EscapeHtml(plot.title), note.empty() ? "" : "<small>" + EscapeHtml(note) + "</small>",
      Legend(plot), kWidth, kHeight, EscapeHtml(plot.title), AxesSvg(frame, plot.x_title), svg,
      kTop, kHeight - kBottom, DataScript(plot, frame));
}

}  // namespace pawl::track
