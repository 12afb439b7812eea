#include "common/job/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace shoal {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double Ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

// Counts of one label against all others.
struct Counts {
  uint64_t true_positive = 0, false_positive = 0, false_negative = 0;
};

LabelReport Report(const Counts& counts) {
  LabelReport report;
  report.support = counts.true_positive + counts.false_negative;
  report.predicted = counts.true_positive + counts.false_positive;
  report.precision = Ratio(counts.true_positive, report.predicted);
  report.recall = Ratio(counts.true_positive, report.support);
  report.f1 = Ratio(2.0 * counts.true_positive, report.support + report.predicted);
  return report;
}

std::vector<Counts> CountLabels(TaskType task, const EvaluationStatistics& statistics) {
  std::vector<Counts> counts;
  const auto& cells = statistics.confusion();
  if (task == TASK_MULTILABEL_CLASSIFICATION) {  // tn fp fn tp of each label
    for (int i = 0; i + 3 < cells.size(); i += 4)
      counts.push_back({cells[i + 3], cells[i + 1], cells[i + 2]});
    return counts;
  }
  const int labels = static_cast<int>(std::lround(std::sqrt(cells.size())));
  if (labels * labels != cells.size()) return counts;
  for (int label = 0; label < labels; ++label) {
    Counts count;
    count.true_positive = cells[label * labels + label];
    for (int other = 0; other < labels; ++other) {
      if (other == label) continue;
      count.false_negative += cells[label * labels + other];
      count.false_positive += cells[other * labels + label];
    }
    counts.push_back(count);
  }
  return counts;
}

double Accuracy(TaskType task, const EvaluationStatistics& statistics) {
  double right = 0, all = 0;
  if (task == TASK_MULTILABEL_CLASSIFICATION) {
    for (int i = 0; i + 3 < statistics.confusion_size(); i += 4) {
      right += statistics.confusion(i) + statistics.confusion(i + 3);
      for (int j = 0; j < 4; ++j) all += statistics.confusion(i + j);
    }
  } else {
    for (const Counts& count : CountLabels(task, statistics)) {
      right += count.true_positive;
      all += count.true_positive + count.false_negative;
    }
  }
  return all > 0 ? right / all : kNan;
}

double MacroF1(TaskType task, const EvaluationStatistics& statistics) {
  double sum = 0;
  int labels = 0;
  for (const Counts& count : CountLabels(task, statistics)) {
    const LabelReport report = Report(count);
    if (report.support + report.predicted == 0) continue;
    sum += report.f1;
    ++labels;
  }
  return labels > 0 ? sum / labels : kNan;
}

double MicroF1(TaskType task, const EvaluationStatistics& statistics) {
  Counts all;
  for (const Counts& count : CountLabels(task, statistics)) {
    all.true_positive += count.true_positive;
    all.false_positive += count.false_positive;
    all.false_negative += count.false_negative;
  }
  return Report(all).f1;
}

// sums: x, y, xx, yy, xy, squared error.
double Pearson(const EvaluationStatistics& statistics) {
  if (statistics.sums_size() < 6 || statistics.examples() == 0) return kNan;
  const double n = static_cast<double>(statistics.examples());
  const auto& s = statistics.sums();
  const double xy = n * s[4] - s[0] * s[1], xx = n * s[2] - s[0] * s[0], yy = n * s[3] - s[1] * s[1];
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : kNan;
}

}  // namespace

void AddStatistics(const EvaluationStatistics& right, EvaluationStatistics* left) {
  left->set_examples(left->examples() + right.examples());
  left->set_loss(left->loss() + right.loss());
  left->set_predicted_tokens(left->predicted_tokens() + right.predicted_tokens());
  for (int i = 0; i < right.confusion_size(); ++i) {
    if (i == left->confusion_size()) left->add_confusion(0);
    left->set_confusion(i, left->confusion(i) + right.confusion(i));
  }
  for (int i = 0; i < right.sums_size(); ++i) {
    if (i == left->sums_size()) left->add_sums(0);
    left->set_sums(i, left->sums(i) + right.sums(i));
  }
}

double MeanLoss(const EvaluationStatistics& statistics) {
  const uint64_t rows =
      statistics.predicted_tokens() > 0 ? statistics.predicted_tokens() : statistics.examples();
  return rows > 0 ? statistics.loss() / static_cast<double>(rows) : kNan;
}

double MetricValue(TaskType task, Metric metric, const EvaluationStatistics& statistics) {
  switch (metric) {
    case METRIC_ACCURACY:
      return Accuracy(task, statistics);
    case METRIC_MACRO_F1:
      return MacroF1(task, statistics);
    case METRIC_MICRO_F1:
      return MicroF1(task, statistics);
    case METRIC_MSE:
      return statistics.sums_size() == 6 && statistics.examples() > 0
                 ? statistics.sums(5) / static_cast<double>(statistics.examples())
                 : kNan;
    case METRIC_PEARSON:
      return Pearson(statistics);
    case METRIC_PERPLEXITY:
      return std::exp(MeanLoss(statistics));
    default:
      return MeanLoss(statistics);
  }
}

std::vector<LabelReport> LabelReports(TaskType task, const EvaluationStatistics& statistics) {
  std::vector<LabelReport> reports;
  for (const Counts& count : CountLabels(task, statistics)) reports.push_back(Report(count));
  return reports;
}

}  // namespace shoal
