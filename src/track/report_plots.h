// Which plots a report shows, and the bar of where the time went. Part of report.cc, apart for its
// size.
#pragma once
#include <string>

#include "track/metrics_file.h"

namespace pawl::track {

// The figures, one after the other; metrics that a run lacks are left out.
std::string ReportPlots(const MetricsTable& metrics);
// The same of a language run, over tokens.
std::string LanguagePlots(const MetricsTable& metrics);
// A bar of the run's seconds by phase with its legend; "" where they were not recorded.
std::string TimeBar(const MetricsTable& metrics);

}  // namespace pawl::track
