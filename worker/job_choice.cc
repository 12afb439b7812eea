#include "worker/job_choice.h"

#include "common/protocol/same_message.h"

namespace shoal::worker {
namespace {

// A plan derived by this worker is valid only if it is the one that the scheduler accepted.
bool Answers(const PrepareJob& prepared, const JobPrepared& held, const PrepareJob& request) {
  if (prepared.job() != request.job() || !SameMessage(prepared.spec(), request.spec())) return false;
  if (request.derive()) return held.has_plan() && prepared.derivation() == request.derivation();
  return SameMessage(held.has_plan() ? held.plan() : prepared.plan(), request.plan());
}

}  // namespace

bool JobChoice::OnPrepare(const PrepareJob& request) {
  if (held_ && Answers(held_request_, *held_, request)) {
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

bool JobChoice::Wants(const PrepareJob& request) const { return wanted_ && SameMessage(*wanted_, request); }

void JobChoice::OnPrepared(const PrepareJob& request, const JobPrepared& prepared) {
  wanted_.reset();
  held_request_ = request;
  held_ = prepared;
}

void JobChoice::Clear() {
  wanted_.reset();
  held_.reset();
}

}  // namespace shoal::worker
