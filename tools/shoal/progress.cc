#include "tools/shoal/progress.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/metrics.h"
#include "tools/shoal/report.h"

namespace shoal {
namespace {

constexpr absl::Duration kPlainLineEvery = absl::Seconds(5);

std::string TimeLeft(const Job& job, const MetricRecord& metric) {
  const uint64_t examples = uint64_t{job.spec().train().slots()} * job.spec().train().slot_batch();
  if (metric.examples_per_second() <= 0 || job.plan().rounds() < metric.round()) return "";
  const double seconds =
      static_cast<double>((job.plan().rounds() - metric.round()) * examples) / metric.examples_per_second();
  return absl::StrCat(
      ", ", absl::FormatDuration(absl::Seconds(std::max<int64_t>(1, static_cast<int64_t>(seconds)))),
      " left");
}

std::string ProgressText(const Job& job, const MetricRecord& metric) {
  return absl::StrFormat("round %d/%d (epoch %.2f)  loss %.4f  learning rate %.2e  %.0f examples/s%s",
                         metric.round(), job.plan().rounds(), metric.epoch(), metric.loss(),
                         metric.learning_rate(), metric.examples_per_second(), TimeLeft(job, metric));
}

std::string EvaluationText(const JobSpec& spec, const EvaluationRecord& evaluation) {
  return absl::StrFormat("version %d: %s %s %.4f  loss %.4f%s", evaluation.version(),
                         SetName(evaluation.set()), MetricName(spec.evaluation().metric()),
                         evaluation.metric(), evaluation.loss(), evaluation.best() ? "  (best)" : "");
}

}  // namespace

ProgressDisplay::~ProgressDisplay() {
  if (open_) std::fputc('\n', out_);
}

void ProgressDisplay::OnEvent(const Job& job, const JobEvent& event) {
  if (event.has_progress()) {
    if (terminal_) return Rewrite(ProgressText(job, event.progress()));
    if (absl::Now() - printed_ < kPlainLineEvery) return;
    printed_ = absl::Now();
    return Line(ProgressText(job, event.progress()));
  }
  if (event.has_evaluation()) return Line(EvaluationText(job.spec(), event.evaluation()));
  if (event.has_state())
    return Line(absl::StrCat("job is ", StateName(event.state().state()),
                             event.state().reason().empty() ? "" : ": ", event.state().reason()));
  if (!event.message().empty()) return Line(event.message());
}

void ProgressDisplay::Line(const std::string& text) {
  absl::FPrintF(out_, "%s%s\n", open_ ? "\r\x1b[K" : "", text);
  open_ = false;
  std::fflush(out_);
}

void ProgressDisplay::Rewrite(const std::string& text) {
  absl::FPrintF(out_, "\r\x1b[K%s", text);
  open_ = true;
  std::fflush(out_);
}

}  // namespace shoal
