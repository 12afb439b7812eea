#include "scheduler/progress_watch.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/utf8.h"
#include "google/protobuf/repeated_field.h"

namespace shoal::scheduler {
namespace {

// What a node reports can't be trusted: it may be NaN, negative or infinite.
absl::Duration Seconds(double seconds) {
  constexpr double kMax = 1e9;
  return absl::Seconds(std::isnan(seconds) ? 0 : std::clamp(seconds, 0.0, kMax));
}

std::string Text(absl::Duration duration) {
  return absl::StrFormat("%.1f s", absl::ToDoubleSeconds(duration));
}

}  // namespace

const char* ActivityText(ActivityKind kind) {
  switch (kind) {
    case ACTIVITY_DERIVE:
      return "reading the data";
    case ACTIVITY_PREPARE:
      return "preparing the job";
    case ACTIVITY_COMPUTE:
      return "computing";
    case ACTIVITY_EVALUATE:
      return "evaluating";
    case ACTIVITY_RESTORE:
      return "loading its state";
    case ACTIVITY_UPDATE:
      return "updating parameters";
    case ACTIVITY_WRITE_CHECKPOINT:
      return "writing a checkpoint";
    case ACTIVITY_TRANSFER:
      return "transferring parameters";
    default:
      return "its work";
  }
}

namespace {

std::string Kept(const std::string& text) { return CutUtf8(text, ProgressWatch::kMaxTextBytes); }

Activity Bounded(const Activity& activity) {
  Activity kept = activity;
  kept.set_detail(Kept(activity.detail()));
  return kept;
}

UnreachablePeer Bounded(const UnreachablePeer& unreachable) {
  UnreachablePeer kept;
  kept.mutable_peer()->set_node_id(unreachable.peer().node_id());
  kept.mutable_peer()->set_name(Kept(unreachable.peer().name()));
  kept.mutable_peer()->set_address(Kept(unreachable.peer().address()));
  kept.set_seconds(unreachable.seconds());
  kept.set_error(Kept(unreachable.error()));
  return kept;
}

QueueLength Bounded(const QueueLength& queue) {
  QueueLength kept = queue;
  kept.set_name(Kept(queue.name()));
  return kept;
}

template <typename T>
void AddBounded(const google::protobuf::RepeatedPtrField<T>& reported, int most,
                google::protobuf::RepeatedPtrField<T>* kept) {
  for (int i = 0; i < std::min(reported.size(), most); ++i) *kept->Add() = Bounded(reported[i]);
}

Heartbeat Bounded(const Heartbeat& heartbeat) {
  Heartbeat bounded;
  AddBounded(heartbeat.activities(), ProgressWatch::kMaxActivities, bounded.mutable_activities());
  AddBounded(heartbeat.unreachable(), ProgressWatch::kMaxUnreachable, bounded.mutable_unreachable());
  AddBounded(heartbeat.queues(), ProgressWatch::kMaxQueues, bounded.mutable_queues());
  bounded.DiscardUnknownFields();  // may be of any size
  return bounded;
}

using ActivityKey = std::pair<JobId, ActivityKind>;

// Keyed by job and kind, without the view: an activity that hangs in an old view's work still names the
// newest view.
std::map<ActivityKey, absl::Duration> IdleTimes(const Heartbeat& heartbeat) {
  std::map<ActivityKey, absl::Duration> times;
  for (const Activity& activity : heartbeat.activities()) {
    absl::Duration& idle = times[{JobId(activity.job()), activity.kind()}];
    idle = std::max(idle, Seconds(activity.idle_seconds()));
  }
  return times;
}

}  // namespace

// ---- deadlines ----

absl::Duration ProgressWatch::Deadline(JobId job, ActivityKind kind) const {
  const auto known = options_.limits.find(kind);
  if (known == options_.limits.end()) return absl::InfiniteDuration();
  const WatchOptions::Limits& limits = known->second;
  const auto found = longest_.find({job, kind});
  if (found == longest_.end()) return std::max(limits.first, limits.floor);
  return std::max(limits.floor,
                  std::min(options_.longest_deadline, options_.deadline_factor * found->second.longest()));
}

void ProgressWatch::Measure(absl::Time now, JobId job, ActivityKind kind, absl::Duration wait) {
  if (longest_.size() >= kMaxMeasured && longest_.count({job, kind}) == 0) return;
  longest_[{job, kind}].Add(now, wait, options_.measured_period);
}

// A wait is measured when the same activity has shown progress since the previous heartbeat. Waits of
// a suspect, or beyond the deadline, do not show how long work takes.
void ProgressWatch::MeasureAgainst(absl::Time now, const NodeState& former, const Heartbeat& heartbeat) {
  if (former.suspect.bad) return;
  const std::map<ActivityKey, absl::Duration> times = IdleTimes(heartbeat);
  for (const auto& [key, before] : IdleTimes(former.last)) {
    const auto goes_on = times.find(key);
    if (goes_on == times.end() || goes_on->second > before) continue;
    if (before <= Deadline(key.first, key.second)) Measure(now, key.first, key.second, before);
  }
}

// ---- events ----

void ProgressWatch::OnHeartbeat(absl::Time now, NodeId node, const Heartbeat& heartbeat,
                                const Membership& members) {
  NodeState& state = nodes_[node];
  Heartbeat bounded = Bounded(heartbeat);
  MeasureAgainst(now, state, bounded);
  state.last = std::move(bounded);
  CheckActivities(now, &state);
  CheckPeers(now, node, state.last, members);
  // Deadlines of jobs that nobody works on any more are dropped.
  for (auto at = longest_.begin(); at != longest_.end();) {
    at = now - at->second.started() > 10 * options_.measured_period ? longest_.erase(at) : std::next(at);
  }
}

void ProgressWatch::CheckActivities(absl::Time now, NodeState* state) {
  const std::map<ActivityKey, absl::Duration> times = IdleTimes(state->last);
  // Only progress counts here: a deadline may have grown.
  for (auto at = state->stuck.begin(); at != state->stuck.end();) {
    const auto goes_on = times.find(at->first);
    const bool moved = goes_on == times.end() || goes_on->second < at->second;
    if (!moved) at->second = goes_on->second;
    at = moved ? state->stuck.erase(at) : std::next(at);
  }
  std::map<ActivityKey, int> overdue;
  bool bad = !state->stuck.empty();
  for (const Activity& activity : state->last.activities()) {
    const JobId job(activity.job());
    const absl::Duration idle = Seconds(activity.idle_seconds());
    const absl::Duration deadline = Deadline(job, activity.kind());
    if (idle <= deadline) continue;
    int& count = overdue[{job, activity.kind()}];
    count = state->overdue[{job, activity.kind()}] + 1;
    if (count < 2) continue;
    bad = true;
    state->stuck[{job, activity.kind()}] = idle;
    state->why = absl::StrCat("has shown no progress in ", ActivityText(activity.kind()),
                              activity.detail().empty() ? "" : absl::StrCat(" (", activity.detail(), ")"),
                              " for ", Text(idle), ", expected within ", Text(deadline));
  }
  state->overdue = std::move(overdue);
  if (bad) {
    if (!state->suspect.bad) state->news = state->why;
    return TurnBad(now, &state->suspect);
  }
  if (state->suspect.bad && state->overdue.empty())
    state->suspect.well_since = std::min(state->suspect.well_since, now);
}

void ProgressWatch::CheckPeers(absl::Time now, NodeId node, const Heartbeat& heartbeat,
                               const Membership& members) {
  std::map<NodeId, const UnreachablePeer*> reported;
  for (const UnreachablePeer& peer : heartbeat.unreachable()) {
    const NodeId id(peer.peer().node_id());
    if (id != node && members.Find(id) != nullptr) reported[id] = &peer;
  }
  for (auto& [pair, state] : pairs_) {
    if (pair.first != node || !state.cut.bad || reported.count(pair.second) > 0) continue;
    state.cut.well_since = std::min(state.cut.well_since, now);
  }
  for (const auto& [peer, report] : reported) {
    if (Seconds(report->seconds()) < options_.unreachable_after) continue;
    PairState& state = pairs_[{node, peer}];
    if (!state.cut.bad) state.told = false;
    state.error = report->error();
    TurnBad(now, &state.cut);
  }
}

void ProgressWatch::Forget(NodeId node) {
  const auto found = nodes_.find(node);
  if (found != nodes_.end()) {
    bad_ -= found->second.suspect.bad;
    nodes_.erase(found);
  }
  for (auto at = pairs_.begin(); at != pairs_.end();) {
    const bool its = at->first.first == node || at->first.second == node;
    if (its) bad_ -= at->second.cut.bad;
    at = its ? pairs_.erase(at) : std::next(at);
  }
}

// ---- getting bad and well ----

void ProgressWatch::TurnBad(absl::Time now, Hysteresis* state) {
  if (!state->bad) {
    if (now - state->ended > options_.forgive_after) state->strikes = 0;
    state->bad = true;
    ++bad_;
    ++state->strikes;
  }
  state->well_since = absl::InfiniteFuture();
}

// Whether it has been well for long enough.
bool ProgressWatch::TurnsWell(absl::Time now, Hysteresis* state) {
  constexpr uint32_t kMaxDoublings = 16;
  const absl::Duration hold = std::min(
      options_.well_longest, options_.well_first * (1u << std::min(state->strikes - 1, kMaxDoublings)));
  if (!state->bad || now - state->well_since < hold) return false;
  state->bad = false;
  --bad_;
  state->ended = now;
  return true;
}

std::vector<std::string> ProgressWatch::Advance(absl::Time now, const Membership& members) {
  std::vector<std::string> news;
  for (auto& [id, state] : nodes_) {
    const Member* const member = members.Find(id);
    if (member == nullptr) continue;
    if (!state.news.empty()) news.push_back(absl::StrCat(member->name, " ", state.news));
    state.news.clear();
    if (TurnsWell(now, &state.suspect))
      news.push_back(absl::StrCat(member->name, " is trusted with work again"));
  }
  for (auto& [pair, state] : pairs_) {
    const bool was_told = state.told;
    const std::string text = CutText(pair, state, members);
    if (text.empty()) continue;
    if (state.cut.bad && !was_told) news.push_back(text);
    state.told = true;
    if (!TurnsWell(now, &state.cut)) continue;
    news.push_back(absl::StrCat(members.Find(pair.first)->name, " is paired with ",
                                members.Find(pair.second)->name, " again"));
  }
  return news;
}

// ---- answers ----

const std::string* ProgressWatch::Suspect(NodeId node) const {
  const auto found = nodes_.find(node);
  return found == nodes_.end() || !found->second.suspect.bad ? nullptr : &found->second.why;
}

bool ProgressWatch::IsCut(NodeId a, NodeId b) const {
  for (const Pair& pair : {Pair{a, b}, Pair{b, a}}) {
    const auto found = pairs_.find(pair);
    if (found != pairs_.end() && found->second.cut.bad) return true;
  }
  return false;
}

std::set<std::pair<NodeId, NodeId>> ProgressWatch::CutPairs() const {
  std::set<Pair> cut;
  for (const auto& [pair, state] : pairs_) {
    if (state.cut.bad) cut.insert({pair, {pair.second, pair.first}});
  }
  return cut;
}

// Empty: one of them is not a member.
std::string ProgressWatch::CutText(const Pair& pair, const PairState& state, const Membership& members) {
  const Member* const from = members.Find(pair.first);
  const Member* const to = members.Find(pair.second);
  if (from == nullptr || to == nullptr) return "";
  return absl::StrCat(from->name, " can't reach ", to->name, " at ", to->join.address(), ": ",
                      state.error.empty() ? "no answer" : state.error);
}

std::vector<std::string> ProgressWatch::Cuts(const Membership& members) const {
  std::vector<std::string> cuts;
  for (const auto& [pair, state] : pairs_) {
    std::string text = CutText(pair, state, members);
    if (state.cut.bad && !text.empty()) cuts.push_back(std::move(text));
  }
  return cuts;
}

const Heartbeat* ProgressWatch::Last(NodeId node) const {
  const auto found = nodes_.find(node);
  return found == nodes_.end() ? nullptr : &found->second.last;
}

}  // namespace shoal::scheduler
