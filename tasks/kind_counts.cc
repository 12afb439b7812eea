#include "tasks/kind_counts.h"

#include <limits>

namespace shoal::tasks {
namespace {

constexpr int kCells = 3;       // per kind
constexpr int kLabelCells = 2;  // after those

void AddTo(EvaluationStatistics* statistics, int cell, uint64_t count) {
  statistics->set_confusion(cell, statistics->confusion(cell) + count);
}

}  // namespace

void AddKindCounts(absl::Span<const LabelCounts> counts, uint64_t right, uint64_t all,
                   EvaluationStatistics* statistics) {
  const int cells = static_cast<int>(counts.size()) * kCells + kLabelCells;
  while (statistics->confusion_size() < cells) statistics->add_confusion(0);
  int cell = 0;
  for (const LabelCounts& count : counts) {
    for (uint64_t number : {count.true_positive, count.false_positive, count.false_negative})
      AddTo(statistics, cell++, number);
  }
  AddTo(statistics, cell++, right);
  AddTo(statistics, cell, all);
}

std::vector<LabelCounts> KindCounts(const EvaluationStatistics& statistics) {
  const auto& cells = statistics.confusion();
  std::vector<LabelCounts> counts;
  for (int i = 0; i + kCells + kLabelCells <= cells.size(); i += kCells)
    counts.push_back({cells[i], cells[i + 1], cells[i + 2]});
  return counts;
}

double RightFraction(const EvaluationStatistics& statistics) {
  const auto& cells = statistics.confusion();
  const uint64_t all = cells.size() < kLabelCells ? 0 : cells[cells.size() - 1];
  return all == 0 ? std::numeric_limits<double>::quiet_NaN()
                  : static_cast<double>(cells[cells.size() - 2]) / static_cast<double>(all);
}

LabelReport Named(LabelReport report, const char* name) {
  report.label = name;
  return report;
}

}  // namespace shoal::tasks
