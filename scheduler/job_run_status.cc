// A job as it is stored, and as users see it.
#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/wire.h"
#include "common/protocol/same_message.h"
#include "common/protocol/view_key.h"
#include "scheduler/job_run.h"
#include "scheduler/view_roles.h"

namespace shoal::scheduler {
namespace {

// ", computing (round 8, slot 5; no progress for 3.2 s)"
std::string ActivitiesOf(const Heartbeat* heartbeat) {
  std::string text;
  if (heartbeat == nullptr) return text;
  for (const Activity& activity : heartbeat->activities()) {
    absl::StrAppend(&text, ", ", ActivityText(activity.kind()), " (", activity.detail(),
                    activity.detail().empty() ? "" : "; ",
                    absl::StrFormat("no progress for %.1f s)", activity.idle_seconds()));
  }
  return text;
}

// "waits for server-1, worker-1 to come back, ...", those of `nodes` that have no session; "" without any.
std::string AwaitedText(absl::Time now, const std::vector<NodeId>& nodes, const Membership& members) {
  std::vector<std::string> names;
  absl::Time end = now;
  for (NodeId node : nodes) {
    const Member* const member = members.Find(node);
    if (member == nullptr || member->connected) continue;
    names.push_back(member->name);
    end = std::max(end, member->expires);
  }
  if (names.empty()) return "";
  return absl::StrCat("waits for ", absl::StrJoin(names, ", "),
                      " to come back, or for the end of the lease in ",
                      absl::StrFormat("%.1f s", absl::ToDoubleSeconds(end - now)));
}

}  // namespace

void JobRun::Load(absl::Time now, const JobStateRecord& record, std::vector<EvaluationRecord> evaluations) {
  saved_ = record;
  state_ = record.state();
  reason_ = record.reason();
  started_unix_ms_ = record.started_unix_ms();
  ended_unix_ms_ = record.ended_unix_ms();
  history_.Load(record);
  derivation_.Load(record);
  roll_call_.Load(now, record);
  rollout_.Load(record);
  evaluations_.Load(record, std::move(evaluations));
  checkpoints_.Load(record);
  metrics_.Load(now, record);
  completion_.Load(record);
  moved_ = now;
}

JobStateRecord JobRun::Record() const {
  JobStateRecord record;
  record.set_state(state_);
  record.set_reason(reason_);
  record.set_started_unix_ms(started_unix_ms_);
  record.set_ended_unix_ms(ended_unix_ms_);
  history_.SaveTo(&record);
  derivation_.SaveTo(&record);
  rollout_.SaveTo(&record);
  evaluations_.SaveTo(&record);
  checkpoints_.SaveTo(&record);
  metrics_.SaveTo(&record);
  completion_.SaveTo(&record);
  return record;
}

void JobRun::Save() {
  JobStateRecord record = Record();
  // A view may be long, and never changes under its key, so only the key is compared.
  const bool same_view = KeyOf(record.view()) == KeyOf(saved_.view());
  if (same_view && SameMessage(record, saved_, JobStateRecord::kViewFieldNumber)) return;
  saved_ = std::move(record);
  context_.out->Save(kStateTable, RecordKey(definition().job()), saved_);
}

// ---- for users ----

Job JobRun::Describe(bool full) const {
  const JobDefinition& definition = this->definition();
  Job job;
  job.set_job(definition.job());
  job.set_name(definition.spec().name());
  job.set_state(state_);
  job.set_reason(reason_);
  job.set_submitted_unix_ms(definition.submitted_unix_ms());
  job.set_started_unix_ms(started_unix_ms_);
  job.set_ended_unix_ms(ended_unix_ms_);
  job.set_version((ended() ? completion_.last() : rollout_.LowestVersion()).value());
  job.set_rounds(definition.plan().rounds());
  for (uint64_t size : definition.plan().group_sizes()) job.set_parameters(job.parameters() + size);
  job.set_bytes_per_round(2 * EncodedBytes(definition.spec().train().wire(), job.parameters()));
  job.set_loss(metrics_.last().loss());
  job.set_examples_per_second(metrics_.last().examples_per_second());
  if (completion_.result() != nullptr) *job.mutable_result() = *completion_.result();
  job.set_checkpoint_dir(definition.checkpoint_dir());
  job.set_interventions(history_.interventions());
  job.set_origin_version(definition.origin_version());
  for (Version version : checkpoints_.OwnVersions()) job.add_checkpoints(version.value());
  if (!full) return job;
  for (const EvaluationRecord& evaluation : evaluations_.all()) *job.add_evaluations() = evaluation;
  *job.mutable_spec() = definition.spec();
  if (has_plan()) *job.mutable_plan() = definition.plan();
  if (rollout_.has_view()) *job.mutable_view() = view();
  return job;
}

std::string JobRun::DetailOf(const Member& member) const {
  const std::string trouble = roll_call_.TroubleText(member.id);
  if (!trouble.empty()) return trouble;
  if (derivation_.deriver() == member.id) return "reads the data";
  for (int i = 0; i < view().shards_size(); ++i) {
    if (view().shards(i).primary().node_id() == member.id.value())
      return absl::StrCat("shard ", i, " of ", view().shards_size());
  }
  for (const SlotAssignment& slots : view().slots()) {
    if (slots.worker().node_id() == member.id.value())
      return absl::StrCat("slots [", slots.slot_begin(), ",", slots.slot_end(), ")");
  }
  return roll_call_.AwaitsAnswer(member.id) ? "prepares" : "";
}

// The nodes of the view that are silent are the best suspects, whoever owes something. Returns them.
std::set<NodeId> JobRun::AddSilent(absl::Time now, const std::string& where, const std::string& since,
                                   std::vector<std::string>* stalls) const {
  // A node that is well is silent between its heartbeats.
  const absl::Duration silence = std::max(context_.options.stall_after, 2 * context_.options.heartbeat);
  std::set<NodeId> silent;
  for (const auto& [id, member] : context_.members.all()) {
    if (now - member.last_seen < silence) continue;
    if (!HoldsAnyShard(view(), id) && !HasSlots(view(), id)) continue;
    silent.insert(id);
    stalls->push_back(absl::StrCat(
        where, DetailOf(member), " of ", member.name,
        absl::StrFormat(", silent for %.1f s; ", absl::ToDoubleSeconds(now - member.last_seen)), since));
  }
  return silent;
}

void JobRun::AddStalls(absl::Time now, std::vector<std::string>* stalls) const {
  if (ended()) return;
  const std::string job = absl::StrCat("job ", definition().job());
  if (!rollout_.has_view() || now - moved_ < context_.options.stall_after) {
    if (!reason_.empty()) stalls->push_back(absl::StrCat(job, ": ", reason_));
    return;
  }
  const StallEvidence evidence = Evidence();
  const Version version = rollout_.LowestVersion();
  const bool evaluates =
      version.value() >= evidence.target.version() && evidence.target.evaluate() != EVALUATION_SET_NONE;
  const std::string where =
      !rollout_.KnowsVersion()
          ? absl::StrCat(job, ": ")
          : absl::StrCat(job, evaluates ? ", evaluation of version " : ", round ", version.value(), ": ");
  const std::string since =
      absl::StrFormat("the job has made no progress for %.1f s", absl::ToDoubleSeconds(now - moved_));
  const std::string reason =
      reason_.empty() ? AwaitedText(now, evidence.AwaitedNodes(), context_.members) : reason_;
  if (!reason.empty()) return stalls->push_back(absl::StrCat(where, reason, "; ", since));
  const size_t before = stalls->size();
  const std::set<NodeId> silent = AddSilent(now, where, since, stalls);
  for (const SlotAssignment& slots : view().slots()) {
    const Member* const member = context_.members.Find(NodeId(slots.worker().node_id()));
    if (member == nullptr || silent.count(member->id) > 0 ||
        !evidence.Misses({slots.slot_begin(), slots.slot_end()}))
      continue;
    stalls->push_back(
        absl::StrCat(where, "slots [", slots.slot_begin(), ",", slots.slot_end(), ") of ", member->name,
                     absl::StrFormat(", silent for %.1f s", absl::ToDoubleSeconds(now - member->last_seen)),
                     ActivitiesOf(context_.watch.Last(member->id)), "; ", since));
  }
  if (stalls->size() == before) stalls->push_back(absl::StrCat(where, since));
}

}  // namespace shoal::scheduler
