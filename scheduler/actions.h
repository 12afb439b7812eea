// What the scheduler's core asks its shell to do.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "common/base/types.h"
#include "proto/checkpoint.pb.h"
#include "proto/scheduler.pb.h"
#include "scheduler/records.pb.h"

namespace shoal::scheduler {

// One entry of the store, whose tables map keys to bytes.
struct StoredRecord {
  std::string table;
  std::string key;
  std::string value;
};

// The store's tables.
inline constexpr char kCounterTable[] = "counter";        // IdCounters
inline constexpr char kNodeTable[] = "node";              // NodeRecord by node
inline constexpr char kJobTable[] = "job";                // JobDefinition by job
inline constexpr char kStateTable[] = "state";            // JobStateRecord by job
inline constexpr char kEvaluationTable[] = "evaluation";  // EvaluationRecord by job and index
inline constexpr char kEventTable[] = "event";            // JobEvent by job and sequence; not needed by Load

// Keys sort in the order of their numbers.
std::string RecordKey(uint64_t id);
std::string RecordKey(uint64_t id, uint64_t index);

// The Persist and Erase actions of one TakeActions() come first and form one transaction, which must be
// durable before any later action is carried out.
struct Persist {
  StoredRecord record;
};
struct Erase {
  std::string table;
  std::string key;
};

// Sent on the node's session; dropped if it has none, since whatever matters is sent again when it opens one.
struct SendDirective {
  NodeId node;
  Directive directive;
};
// End the node's stream, if there is one, with `status`: its lease has ended, or (UNAVAILABLE) it should open
// another one and report its state again.
struct EndSession {
  NodeId node;
  absl::Status status;
};
// Commits a version whose shard files are all in <folder>/version-V.R.partial, R being the restore point.
// Answered by SchedulerCore::CheckpointCommitted.
struct CommitCheckpointFiles {
  JobId job;
  RestoreId restore_id;
  uint64_t training = 0;  // as counted by CheckpointKeeper
  std::string folder;
  bool first = true;  // as far as is known, nothing has been committed into the folder yet
  CheckpointManifest manifest;
  CheckpointHistory history;
};
// Checks the files of a checkpoint (a directory) that a server could not load, or whose manifest was found
// damaged. A damaged checkpoint is set aside. Answered by SchedulerCore::CheckpointChecked.
struct CheckCheckpointFiles {
  JobId job;
  Version version;
  std::string checkpoint;
};
// Deletes a committed version that the job no longer needs.
struct DeleteCheckpointFiles {
  std::string folder;
  Version version;
};
// Deletes what servers have written of a version that can't be completed from this restore point. A committed
// version stays.
struct DeletePartsOfVersion {
  std::string folder;
  Version version;
  RestoreId restore_id;
};
// Deletes what is left of checkpoints that were never committed: all of it when the job is over, or what was
// written before restore point `before_restore`, from which its servers now start.
struct DeletePartialFiles {
  std::string folder;
  std::optional<RestoreId> before_restore;
};
// Deletes all artifacts except these (by SHA-256), which jobs need.
struct KeepArtifacts {
  std::set<std::string> sha256;
};
// Computes the SHA-256 of θ in the checkpoint (a directory) and verifies the whole checkpoint; a damaged one
// is set aside. Answered by SchedulerCore::ResultComputed.
struct ComputeResult {
  JobId job;
  Version version;
  std::string checkpoint;
};
// Sends the event to all watchers of the job. Events with a sequence are in the table "event" by then;
// sequence 0 is live progress.
struct PublishEvent {
  JobId job;
  JobEvent event;
};
struct LogLine {
  enum class Level { kInfo, kWarning, kError };
  Level level = Level::kInfo;
  std::string text;
};

using Action = std::variant<Persist, Erase, SendDirective, EndSession, CommitCheckpointFiles,
                            CheckCheckpointFiles, DeleteCheckpointFiles, DeletePartsOfVersion,
                            DeletePartialFiles, KeepArtifacts, ComputeResult, PublishEvent, LogLine>;

// Collects actions in order, records first. Not thread-safe.
class Outbox {
 public:
  // A later call for the same key replaces the earlier one.
  void Save(std::string table, std::string key, const google::protobuf::MessageLite& message);
  void Remove(std::string table, std::string key);

  void Do(Action action) { effects_.push_back(std::move(action)); }
  void Send(NodeId node, Directive directive);
  void Info(std::string text) { Do(LogLine{LogLine::Level::kInfo, std::move(text)}); }
  void Warn(std::string text) { Do(LogLine{LogLine::Level::kWarning, std::move(text)}); }

  std::vector<Action> Take();

 private:
  std::vector<Action> records_;
  std::vector<Action> effects_;
};

}  // namespace shoal::scheduler
