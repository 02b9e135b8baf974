// The fixed parts of report.html.
#pragma once

namespace pawl::track {

extern const char kReportStyle[];   // CSS, light and dark
extern const char kReportScript[];  // values under the pointer

}  // namespace pawl::track
