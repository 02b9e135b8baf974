// Line plots as self-contained HTML: an inline SVG with axes, a legend, and the values that the
// page's script shows under the pointer. Colours come from the page's style (classes c0, c1, ...).
// Pure functions.
#pragma once
#include <cmath>
#include <string>
#include <vector>

namespace pawl::track {

struct Series {
  std::string name;
  std::vector<double> x, y;  // same length; a NaN in y is a gap
  std::vector<double> low,
      high;             // same length or empty: a band around a line, error bars at points
  int color = 0;        // 0 to 6
  bool points = false;  // separate points instead of a line
};

struct Plot {
  std::string title, note;  // note: small, after the title
  std::string y_unit;
  std::string x_title = "environment steps", x_unit = "steps";  // unit: beside the pointer's value
  bool percent = false;                                         // values are shares of one
  bool stacked = false;              // areas on top of each other, same x in all
  double y_low = NAN, y_high = NAN;  // the axis includes these where they are numbers
  double y_floor = NAN;              // the axis never goes below; what does is drawn at the edge
  std::vector<Series> series;
};

// At most `max_points` points of a long series: means over equal runs of values, at their last x,
// with a band from the least to the greatest. Gaps stay where a whole run is NaN.
Series ThinOut(const Series& series, size_t max_points);

// A <figure>; "" where no series has a number.
std::string PlotHtml(const Plot& plot);

// Text with &, <, >, and quotes escaped.
std::string EscapeHtml(const std::string& text);

}  // namespace pawl::track
