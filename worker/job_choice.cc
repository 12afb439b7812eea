#include "worker/job_choice.h"

namespace shoal::worker {
namespace {

// A plan that this worker has derived stands only if it is the one that the scheduler took.
bool Answers(const JobPrepared& held, const PrepareJob& request) {
  if (held.job() != request.job()) return false;
  if (request.derive()) return held.has_plan();
  return !held.has_plan() || held.plan().SerializeAsString() == request.plan().SerializeAsString();
}

}  // namespace

bool JobChoice::OnPrepare(const PrepareJob& request) {
  if (held_ && Answers(*held_, request)) {
    wanted_.reset();
    return true;
  }
  wanted_ = request;
  return false;
}

bool JobChoice::OnClose(uint64_t job) {
  if (wanted_ && wanted_->job() == job) wanted_.reset();
  if (!Holds(job)) return false;
  held_.reset();
  return true;
}

bool JobChoice::Wants(const PrepareJob& request) const {
  return wanted_ && wanted_->job() == request.job() && wanted_->derive() == request.derive();
}

void JobChoice::OnPrepared(const JobPrepared& prepared) {
  wanted_.reset();
  held_ = prepared;
}

void JobChoice::Clear() {
  wanted_.reset();
  held_.reset();
}

}  // namespace shoal::worker
