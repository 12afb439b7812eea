#include "scheduler/job_history.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/utf8.h"

namespace shoal::scheduler {

void JobHistory::Load(const JobStateRecord& record) {
  next_sequence_ = record.next_sequence();
  interventions_ = record.interventions();
}

void JobHistory::SaveTo(JobStateRecord* record) const {
  record->set_next_sequence(next_sequence_);
  record->set_interventions(interventions_);
}

void JobHistory::Add(absl::Time now, JobEvent event) {
  event.set_sequence(next_sequence_++);
  event.set_unix_ms(absl::ToUnixMillis(now));
  out_->Save(kEventTable, RecordKey(job_.value(), event.sequence()), event);
  out_->Do(PublishEvent{job_, std::move(event)});
}

void JobHistory::Message(absl::Time now, const std::string& text, LogLine::Level level) {
  JobEvent event;
  event.set_message(ToMessage(text));
  Add(now, std::move(event));
  out_->Do(LogLine{level, absl::StrCat("job ", job_.value(), ": ", text)});
}

void JobHistory::Intervene(absl::Time now, const std::string& why) {
  ++interventions_;
  Warn(now, why);
}

}  // namespace shoal::scheduler
