#include "tasks/label_counts.h"

#include <cmath>
#include <limits>
#include <utility>

namespace shoal::tasks {
namespace {

double Ratio(double part, double whole) {
  return whole > 0 ? part / whole : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

LabelReport ReportOf(const LabelCounts& counts) {
  LabelReport report;
  report.support = counts.true_positive + counts.false_negative;
  report.predicted = counts.true_positive + counts.false_positive;
  report.precision = Ratio(counts.true_positive, report.predicted);
  report.recall = Ratio(counts.true_positive, report.support);
  report.f1 = Ratio(2.0 * counts.true_positive, report.support + report.predicted);
  return report;
}

std::vector<LabelReport> ReportsOf(absl::Span<const LabelCounts> counts,
                                   absl::Span<const std::string> labels) {
  std::vector<LabelReport> reports;
  if (labels.size() < counts.size()) return reports;
  for (size_t i = 0; i < counts.size(); ++i) {
    reports.push_back(ReportOf(counts[i]));
    reports.back().label = labels[i];
  }
  return reports;
}

double MacroF1(absl::Span<const LabelCounts> counts) {
  double sum = 0;
  int labels = 0;
  for (const LabelCounts& count : counts) {
    const double f1 = ReportOf(count).f1;
    if (std::isnan(f1)) continue;
    sum += f1;
    ++labels;
  }
  return Ratio(sum, labels);
}

double MicroF1(absl::Span<const LabelCounts> counts) {
  LabelCounts all;
  for (const LabelCounts& count : counts) {
    all.true_positive += count.true_positive;
    all.false_positive += count.false_positive;
    all.false_negative += count.false_negative;
  }
  return ReportOf(all).f1;
}

}  // namespace shoal::tasks
