// A job as people see it.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "scheduler/job_run.h"

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

}  // namespace

Job JobRun::Describe(bool full) const {
  Job job;
  job.set_job(definition_.job());
  job.set_name(definition_.spec().name());
  job.set_state(state_.state());
  job.set_reason(state_.reason());
  job.set_submitted_unix_ms(definition_.submitted_unix_ms());
  job.set_started_unix_ms(state_.started_unix_ms());
  job.set_ended_unix_ms(state_.ended_unix_ms());
  job.set_version(ended() ? state_.trained_rounds() : LowestVersion().value());
  job.set_rounds(definition_.plan().rounds());
  job.set_loss(state_.last_metric().loss());
  job.set_examples_per_second(state_.last_metric().examples_per_second());
  for (const EvaluationRecord& evaluation : evaluations_) {
    EvaluationRecord& added = *job.add_evaluations();
    added = evaluation;
    if (!full) added.clear_statistics();  // the confusion of many labels, in each of many jobs
  }
  if (state_.has_result()) *job.mutable_result() = state_.result();
  job.set_checkpoint_dir(definition_.checkpoint_dir());
  job.set_interventions(state_.interventions());
  job.set_origin_version(definition_.origin_version());
  for (const StoredCheckpoint& checkpoint : state_.checkpoints()) job.add_checkpoints(checkpoint.version());
  if (!full) return job;
  *job.mutable_spec() = definition_.spec();
  if (has_plan()) *job.mutable_plan() = definition_.plan();
  if (state_.view().view() > 0) *job.mutable_view() = state_.view();
  return job;
}

std::string JobRun::DetailOf(const Member& member) const {
  const auto found = nodes_.find(member.id);
  if (found != nodes_.end() && found->second.trouble == RESTORE_TROUBLE_STORAGE && !found->second.prepared) {
    return absl::StrCat("waits to load job ", definition_.job(), ": ", found->second.refused);
  }
  if (found != nodes_.end() && !found->second.refused.empty()) {
    return absl::StrCat("refused job ", definition_.job(), ": ", found->second.refused);
  }
  if (state_.deriver() == member.id.value()) return "reads the data";
  for (int i = 0; i < state_.view().shards_size(); ++i) {
    if (state_.view().shards(i).primary().node_id() == member.id.value()) {
      return absl::StrCat("shard ", i, " of ", state_.view().shards_size());
    }
  }
  for (const SlotAssignment& slots : state_.view().slots()) {
    if (slots.worker().node_id() == member.id.value())
      return absl::StrCat("slots [", slots.slot_begin(), ",", slots.slot_end(), ")");
  }
  if (found != nodes_.end() && found->second.offered && !found->second.prepared) return "prepares";
  return "";
}

// What the lowest version still waits for: slots that some shard misses, or that are not evaluated yet.
bool JobRun::Misses(SlotRange slots, const Target& target) const {
  if (LowestVersion().value() >= target.version()) {
    for (uint32_t slot = slots.begin; slot < slots.end; ++slot) {
      if (target.evaluate() != EVALUATION_SET_NONE && evaluated_.count(slot) == 0) return true;
    }
    return false;
  }
  return std::any_of(shards_.begin(), shards_.end(), [&](const ShardState& shard) {
    return std::any_of(shard.missing.begin(), shard.missing.end(), [&](const MissingSlots& missing) {
      return slots.Overlaps({missing.slot_begin(), missing.slot_end()});
    });
  });
}

void JobRun::AddStalls(absl::Time now, std::vector<std::string>* stalls) const {
  if (ended()) return;
  if (state_.view().view() == 0 || now - moved_ < options_.stall_after) {
    if (!state_.reason().empty())
      stalls->push_back(absl::StrCat("job ", definition_.job(), ": ", state_.reason()));
    return;
  }
  const Target target = CurrentTarget(0);
  const Version version = LowestVersion();
  const bool evaluates = version.value() >= target.version() && target.evaluate() != EVALUATION_SET_NONE;
  const std::string where = absl::StrCat(
      "job ", definition_.job(), evaluates ? ", evaluation of version " : ", round ", version.value(), ": ");
  const std::string since =
      absl::StrFormat("nothing has moved for %.1f s", absl::ToDoubleSeconds(now - moved_));
  if (!state_.reason().empty()) return stalls->push_back(absl::StrCat(where, state_.reason(), "; ", since));
  const size_t before = stalls->size();
  for (const SlotAssignment& slots : state_.view().slots()) {
    const Member* const member = members_.Find(NodeId(slots.worker().node_id()));
    if (member == nullptr || !Misses({slots.slot_begin(), slots.slot_end()}, target)) continue;
    stalls->push_back(
        absl::StrCat(where, "slots [", slots.slot_begin(), ",", slots.slot_end(), ") of ", member->name,
                     absl::StrFormat(", silent for %.1f s", absl::ToDoubleSeconds(now - member->last_seen)),
                     ActivitiesOf(watch_.Last(member->id)), "; ", since));
  }
  if (stalls->size() == before) stalls->push_back(absl::StrCat(where, since));
}

}  // namespace shoal::scheduler
