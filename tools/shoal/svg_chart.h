// Charts as SVG documents, to be looked at in a browser. Pure functions; texts may hold anything.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace shoal::tools {

struct ChartPoint {
  double x = 0;
  double y = 0;
};

struct ChartLine {
  std::string name;                // in the legend
  std::vector<ChartPoint> points;  // those that are not finite are left out
};

// Lines over common axes, at most as many as there are colours (6). "" when no line has a point.
std::string LineChart(absl::string_view title, absl::string_view x_name, absl::Span<const ChartLine> lines);

// How often examples of each label (rows) were predicted to have each label (columns): each row's cells are
// the darker, the larger their part of the row. `counts`: row-major, [labels,labels] (checked). "" without
// labels, or with more than can be told apart (400).
std::string ConfusionChart(absl::string_view title, absl::Span<const std::string> labels,
                           absl::Span<const uint64_t> counts);

}  // namespace shoal::tools
