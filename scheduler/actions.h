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

// One entry of the store: tables are maps from keys to bytes.
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

// Keys sort as their numbers do.
std::string RecordKey(uint64_t id);
std::string RecordKey(uint64_t id, uint64_t index);

// The Persist and Erase actions of one TakeActions() come first and are one transaction: durable before any
// action behind them is carried out.
struct Persist {
  StoredRecord record;
};
struct Erase {
  std::string table;
  std::string key;
};

// To the node's session; dropped when it has none: what matters is sent again when it opens one.
struct SendDirective {
  NodeId node;
  Directive directive;
};
// End the node's stream, if there is one, with `status`: its lease has ended, or (UNAVAILABLE) it is to open
// another one and report its state anew.
struct EndSession {
  NodeId node;
  absl::Status status;
};
// All shard files of the version are in <folder>/version-V.R.partial, R being the restore point. Answered by
// SchedulerCore::CheckpointCommitted.
struct CommitCheckpointFiles {
  JobId job;
  RestoreId restore_id;
  uint64_t training = 0;  // of CheckpointKeeper's count
  std::string folder;
  bool first = true;  // nothing has been committed into the folder yet, as far as is known
  CheckpointManifest manifest;
  CheckpointHistory history;
};
// A server could not load the checkpoint (a directory), or its manifest was found damaged: is it the files'
// fault? What is damaged is set aside. Answered by SchedulerCore::CheckpointChecked.
struct CheckCheckpointFiles {
  JobId job;
  Version version;
  std::string checkpoint;
};
// A committed version that the job needs no more.
struct DeleteCheckpointFiles {
  std::string folder;
  Version version;
};
// What servers have written of a version that can't become whole from this restore point; a committed one
// stays.
struct DeletePartsOfVersion {
  std::string folder;
  Version version;
  RestoreId restore_id;
};
// The job is over, or its servers start from restore point `before_restore`: what is left of checkpoints that
// were never committed (before).
struct DeletePartialFiles {
  std::string folder;
  std::optional<RestoreId> before_restore;
};
// No job needs any artifact but these (SHA-256): the others may be deleted.
struct KeepArtifacts {
  std::set<std::string> sha256;
};
// SHA-256 of θ in the checkpoint (a directory), which is verified as a whole; a damaged one is set aside.
// Answered by SchedulerCore::ResultComputed.
struct ComputeResult {
  JobId job;
  Version version;
  std::string checkpoint;
};
// To all who watch the job. Events with a sequence are in the table "event" by then; sequence 0 is live
// progress.
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

// Collects actions in their order, records first. Not thread-safe.
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
