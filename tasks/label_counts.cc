#include "tasks/label_counts.h"

#include <cmath>
#include <limits>
#include <utility>

namespace shoal::tasks {
namespace {

double Ratio(double part, double whole) {
  return whole > 0 ? part / whole : std::numeric_limits<double>::quiet_NaN();
}

double ValueOrZero(double ratio) { return std::isnan(ratio) ? 0 : ratio; }

using WeightOf = double (*)(const LabelReport& report);

LabelReport AverageOf(absl::Span<const LabelCounts> counts, WeightOf weight_of) {
  double weights = 0, precision = 0, recall = 0, f1 = 0;
  for (const LabelCounts& count : counts) {
    const LabelReport report = ReportOf(count);
    if (std::isnan(report.f1)) continue;
    const double weight = weight_of(report);
    weights += weight;
    precision += weight * ValueOrZero(report.precision);
    recall += weight * ValueOrZero(report.recall);
    f1 += weight * report.f1;
  }
  LabelReport average = MicroAverage(counts);
  average.precision = Ratio(precision, weights);
  average.recall = Ratio(recall, weights);
  average.f1 = Ratio(f1, weights);
  return average;
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

LabelReport MicroAverage(absl::Span<const LabelCounts> counts) {
  LabelCounts all;
  for (const LabelCounts& count : counts) {
    all.true_positive += count.true_positive;
    all.false_positive += count.false_positive;
    all.false_negative += count.false_negative;
  }
  return ReportOf(all);
}

LabelReport MacroAverage(absl::Span<const LabelCounts> counts) {
  return AverageOf(counts, [](const LabelReport&) { return 1.0; });
}

LabelReport WeightedAverage(absl::Span<const LabelCounts> counts) {
  return AverageOf(counts, [](const LabelReport& report) { return static_cast<double>(report.support); });
}

double MacroF1(absl::Span<const LabelCounts> counts) { return MacroAverage(counts).f1; }

double MicroF1(absl::Span<const LabelCounts> counts) { return MicroAverage(counts).f1; }

}  // namespace shoal::tasks
