#include "tools/shoal/progress.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/clock.h"
#include "common/base/plain_text.h"
#include "common/base/standard_output.h"
#include "common/job/job_spec.h"
#include "tools/shoal/report.h"

namespace shoal::tools {
namespace {

constexpr absl::Duration kPlainLineEvery = absl::Seconds(5);
// A longer time left is not shown: the speed is not known yet.
constexpr double kMaxSecondsLeft = 1e9;

std::string TimeLeft(const Job& job, const MetricRecord& metric) {
  if (!(metric.examples_per_second() > 0) || job.plan().rounds() < metric.round()) return "";  // also NaN
  const TrainSpec& train = job.spec().train();
  const double examples =
      static_cast<double>(job.plan().rounds() - metric.round()) * train.slots() * train.slot_batch();
  const double seconds = examples / metric.examples_per_second();
  if (seconds > kMaxSecondsLeft) return "";
  return absl::StrCat(
      ", ", absl::FormatDuration(absl::Seconds(std::max<int64_t>(1, static_cast<int64_t>(seconds)))),
      " left");
}

std::string MetricText(const Job& job, const MetricRecord& metric) {
  return absl::StrFormat("round %d/%d (epoch %.2f)  loss %s  learning rate %.2e  %.0f examples/s",
                         metric.round(), job.plan().rounds(), metric.epoch(), NumberOrDash(metric.loss(), 4),
                         metric.learning_rate(), metric.examples_per_second());
}

std::string Skipped(const MetricRecord& metric) {
  if (metric.skipped() == 0) return "";
  return absl::StrCat("  ", metric.skipped(), metric.skipped() == 1 ? " round skipped" : " rounds skipped");
}

// "" for a job that does not need it.
std::string GradientNorm(const MetricRecord& metric) {
  return metric.gradient_norm() > 0 ? absl::StrFormat("  gradient norm %.3g", metric.gradient_norm()) : "";
}

std::string EvaluationText(const JobSpec& spec, const EvaluationRecord& evaluation) {
  return absl::StrFormat("version %d: %s %s %s  loss %.4f  (%d examples)%s", evaluation.version(),
                         SetName(evaluation.set()), MetricName(spec.evaluation().metric()),
                         NumberOrDash(evaluation.metric(), 4), evaluation.loss(),
                         evaluation.statistics().examples(), evaluation.best() ? "  (best)" : "");
}

// "silent for 2.1 s" counts as the same stall as "silent for 3.4 s"; worker-1 and worker-2 remain different.
std::string WithoutNumbers(const std::string& text) {
  std::vector<absl::string_view> words = absl::StrSplit(text, ' ');
  for (absl::string_view& word : words) {
    if (word.find_first_not_of("0123456789.") == word.npos) word = "";
  }
  return absl::StrJoin(words, " ");
}

bool Contains(const std::vector<std::string>& texts, const std::string& text) {
  return std::find(texts.begin(), texts.end(), text) != texts.end();
}

std::string AnyText(const Job& job, const JobEvent& event) {
  switch (event.event_case()) {
    case JobEvent::kState:
      return absl::StrCat("job is ", StateName(event.state().state()),
                          event.state().reason().empty() ? "" : ": ", event.state().reason());
    case JobEvent::kMetric:
      return absl::StrCat(MetricText(job, event.metric()), GradientNorm(event.metric()),
                          Skipped(event.metric()));
    case JobEvent::kProgress:
      return absl::StrCat(MetricText(job, event.progress()), TimeLeft(job, event.progress()));
    case JobEvent::kEvaluation:
      return EvaluationText(job.spec(), event.evaluation());
    case JobEvent::kMessage:
      return event.message();
    case JobEvent::kCheckpoint:
      return absl::StrCat("checkpoint of version ", event.checkpoint());
    case JobEvent::EVENT_NOT_SET:
      return "";
  }
  return "";
}

}  // namespace

std::string EventText(const Job& job, const JobEvent& event) { return PlainLine(AnyText(job, event)); }

std::string LogLine(const Job& job, const JobEvent& event) {
  const std::string text = EventText(job, event);
  if (text.empty()) return "";
  return absl::StrCat(
      absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixMillis(event.unix_ms()), absl::UTCTimeZone()), " ",
      text);
}

std::vector<std::string> StallsOf(const ClusterStatus& status, JobId job) {
  const std::string name = absl::StrCat("job ", job.value());
  std::vector<std::string> stalls;
  for (const std::string& stall : status.stalls()) {
    if (absl::StartsWith(stall, name + ":") || absl::StartsWith(stall, name + ",")) stalls.push_back(stall);
  }
  return stalls;
}

ProgressDisplay::~ProgressDisplay() {
  if (open_) std::fputc('\n', out_);
}

bool ProgressDisplay::reader_gone() const { return std::ferror(out_) != 0 && ReaderGone(fileno(out_)); }

void ProgressDisplay::OnEvent(const Job& job, const JobEvent& event) {
  if (event.has_metric() || event.checkpoint() > 0 || event.state().state() == JOB_STATE_FAILED) return;
  const std::string text = EventText(job, event);
  if (text.empty()) return;
  if (event.event_case() == JobEvent::kMessage) message_ = text;
  if (!event.has_progress()) return Line(text);
  if (terminal_) return Rewrite(text);
  if (MonotonicNow() - printed_ < kPlainLineEvery) return;
  printed_ = MonotonicNow();
  Line(text);
}

void ProgressDisplay::OnStalls(const std::vector<std::string>& stalls) {
  std::vector<std::string> now;
  for (const std::string& stall : stalls) {
    if (!message_.empty() && absl::StrContains(stall, message_)) continue;
    now.push_back(WithoutNumbers(stall));
    if (Contains(stalls_, now.back()) && !Contains(shown_stalls_, now.back())) {
      shown_stalls_.push_back(now.back());
      Line(stall);
    }
  }
  stalls_ = std::move(now);
}

void ProgressDisplay::Line(const std::string& text) {
  absl::FPrintF(out_, "%s%s\n", open_ ? "\r\x1b[K" : "", PlainLine(text));
  open_ = false;
  std::fflush(out_);
}

void ProgressDisplay::Rewrite(const std::string& text) {
  absl::FPrintF(out_, "\r\x1b[K%s", PlainLine(text));
  open_ = true;
  std::fflush(out_);
}

}  // namespace shoal::tools
