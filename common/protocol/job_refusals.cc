#include "common/protocol/job_refusals.h"

namespace shoal {

void JobRefusals::OnSessionOpened() {
  refused_ = JobId(0);
  if (outdated_) Refuse(JobRefused(*outdated_));
}

void JobRefusals::OnPrepareJob(JobId job) {
  refused_ = JobId(0);
  if (outdated_ && JobId(outdated_->job()) != job) outdated_.reset();
}

void JobRefusals::OnCloseJob(JobId job) {
  if (outdated_ && JobId(outdated_->job()) == job) outdated_.reset();
}

bool JobRefusals::IsOutdated(const View& view) {
  if (!outdated_ || outdated_->job() != view.job()) return false;
  if (outdated_->outdated_training() != view.training_id()) {
    outdated_.reset();  // another training has begun
    return false;
  }
  if (!HasRefused(JobId(view.job()))) Refuse(JobRefused(*outdated_));
  return true;
}

void JobRefusals::Refuse(const JobRefused& refused) {
  refused_ = JobId(refused.job());
  if (refused.outdated_training() != 0) outdated_ = refused;
  NodeReport report;
  *report.mutable_job_refused() = refused;
  report_(std::move(report));
}

}  // namespace shoal
