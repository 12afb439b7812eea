#include "tests/simulation/job_operator.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/storage/checkpoint.h"
#include "tests/simulation/made_up_builder.h"

namespace shoal::simulation {
namespace {

// The last version up to `newest` that was the best in its time; 0: there is none.
uint64_t BestUpTo(uint64_t newest, const Reference& reference) {
  uint64_t best = 0;
  for (const EvaluationRecord& evaluation : reference.evaluations) {
    if (evaluation.best() && evaluation.version() <= newest) best = evaluation.version();
  }
  return best;
}

}  // namespace

// ---- submitting ----

void JobOperator::SubmitWhenPossible(size_t j) {
  SubmittedJob& job = state_->jobs[j];
  if (job.over || job.id != JobId(0)) return;
  absl::Status status = absl::UnavailableError("no scheduler");
  if (scheduler::SchedulerNode* const node = cluster_->scheduler()->Answering()) {
    const auto id = node->Submit(MakeRequest(j));
    status = id.status();
    if (id.ok() && cluster_->scheduler()->alive()) {
      job.id = *id;
      job.cluster = node->GetStatus()->cluster_id();
      return CheckOrigin(&job);
    }
  }
  if (absl::IsInvalidArgument(status) || absl::IsAlreadyExists(status))
    return state_->Fail(absl::StrCat("job ", j, " is refused: ", status.message()));
  state_->queue.After(kPoll, [this, j] { SubmitWhenPossible(j); });
}

SubmitJobRequest JobOperator::MakeRequest(size_t j) {
  SubmittedJob& job = state_->jobs[j];
  SubmitJobRequest request;
  request.set_request_id(absl::StrCat("job-", j, "-", job.life));
  *request.mutable_spec() = job.oracle->job().spec;
  request.mutable_spec()->set_name(MadeUpJobName(job.number));
  request.set_checkpoint_dir(job.folder);
  if (job.life > 0) job.resume_from = ChooseResume(job);
  request.set_resume_from(job.resume_from);
  return request;
}

// The job's metrics begin at the round that it says it continues from.
void JobOperator::CheckOrigin(SubmittedJob* job) {
  const scheduler::StoredTables& tables = *cluster_->tables();
  JobDefinition definition;
  const auto stored = tables.find({scheduler::kJobTable, scheduler::RecordKey(job->id.value())});
  if (stored == tables.end() || !definition.ParseFromString(stored->second))
    return state_->Fail("a job that was accepted is not stored");
  job->oracle->set_first_round(definition.origin_version());
  const bool given_up = definition.origin_version() == 0 && !job->resume_from.empty();
  if (given_up && state_->damaged.count(job->resume_from) == 0)
    state_->Fail(absl::StrCat("a job does not go on from ", job->resume_from, ", which is intact"));
}

// The checkpoint from which an operator would continue the job: the newest intact version in its last folder,
// or else what it continued from then. Empty when the best version up to there is lost, since the job would
// then keep a different one.
std::string JobOperator::ChooseResume(const SubmittedJob& job) {
  MemoryEnv env(&state_->disk, 0, nullptr);
  const auto is_whole = [&](const std::string& path) {
    if (state_->damaged.count(path) > 0) return false;
    const auto reader = CheckpointReader::Open(&env, path);
    return reader.ok() && reader->Verify().ok();  // or it was being deleted
  };
  std::vector<std::string> paths = {job.resume_from};
  for (Version version : ListCheckpoints(&env, job.last_folder).value_or(std::vector<Version>()))
    paths.push_back(JoinPath(job.last_folder, CheckpointName(version)));
  const auto newest = std::find_if(paths.rbegin(), paths.rend(), is_whole);
  if (newest == paths.rend()) return "";
  const uint64_t best = BestUpTo(ReadManifest(&env, *newest)->version(), job.oracle->reference());
  const bool needed = best > 0 && job.oracle->job().spec.evaluation().keep_best();
  const std::string folder = DirName(*newest);
  return needed && !is_whole(JoinPath(folder, CheckpointName(Version(best)))) ? "" : *newest;
}

// ---- cancelling ----

void JobOperator::CancelWhenPossible(size_t j) {
  SubmittedJob& job = state_->jobs[j];
  if (job.over) return;
  scheduler::SchedulerNode* const node = cluster_->scheduler()->Answering();
  if (job.id != JobId(0) && node != nullptr) {
    job.cancelled = true;  // also when the scheduler dies while storing it
    if (node->Cancel(job.id).ok() && cluster_->scheduler()->alive()) return;
  }
  state_->queue.After(kPoll, [this, j] { CancelWhenPossible(j); });
}

// ---- the scheduler's store ----

void JobOperator::StartWithEmptyStore() {
  cluster_->tables()->clear();
  ++stores_;
  for (size_t j = 0; j < state_->jobs.size(); ++j) {
    SubmittedJob& job = state_->jobs[j];
    job.id = JobId(0);  // a new store counts from 1 again
    if (job.over) continue;
    job.cancelled = false;
    ++job.life;
    job.last_folder = job.folder;
    job.folder = absl::StrCat("storage/job-", j + 1, "-", job.life);
    SubmitWhenPossible(j);
  }
}

void JobOperator::PutStoreBackAfter(absl::Duration delay) {
  state_->queue.After(delay, [this, before = *cluster_->tables(), stores = stores_] {
    if (stores == stores_) PutStoreBack(before);
  });
}

// An operator would not put back a copy that does not know all jobs.
void JobOperator::PutStoreBack(const scheduler::StoredTables& before) {
  const auto key = [](const SubmittedJob& job) {
    return std::make_pair(std::string(scheduler::kStateTable), scheduler::RecordKey(job.id.value()));
  };
  for (const SubmittedJob& job : state_->jobs) {
    if (before.count(key(job)) == 0) return;
  }
  cluster_->scheduler()->Die();
  for (const SubmittedJob& job : state_->jobs) {
    JobStateRecord record;
    record.ParseFromString(before.at(key(job)));
    for (const auto& checkpoint : record.checkpoints()) state_->forgotten.insert(checkpoint.directory());
  }
  *cluster_->tables() = before;
}

}  // namespace shoal::simulation
