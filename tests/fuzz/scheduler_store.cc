// What the scheduler reads from its store: records of any table, key and value, correct and changed ones.
// Asserted: reading fails with DATA_LOSS or succeeds; after success the scheduler answers queries and
// continues, and what it then writes is read back as the same jobs.
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/base/release.h"
#include "common/base/status.h"
#include "common/job/job_spec.h"
#include "scheduler/scheduler_core.h"
#include "tests/fuzz/byte_source.h"
#include "tests/fuzz/message_mutator.h"

namespace shoal::scheduler {
namespace {

constexpr int kMaxRecords = 12;
const absl::Time kStart = absl::UnixEpoch() + absl::Hours(1);

template <typename Message>
StoredRecord MakeRecord(ByteSource* source, const char* table, std::string key, Message message) {
  MutateMessage(source, &message);
  StoredRecord record = {table, std::move(key), message.SerializeAsString()};
  if (source->Below(16) == 0) record.key = source->Bytes(20);
  if (source->Below(16) == 0) record.value = source->Bytes(60);
  return record;
}

JobDefinition Definition(uint64_t id) {
  JobDefinition definition;
  definition.set_job(id);
  JobSpec& spec = *definition.mutable_spec();
  spec.set_name("fuzz");
  spec.mutable_data()->add_files("data.tsv");
  spec.mutable_data()->add_text("text");
  spec.mutable_data()->set_label("label");
  spec.mutable_train()->set_rounds(20);
  spec.mutable_train()->set_slots(4);
  CompleteJob(&spec);
  JobPlan& plan = *definition.mutable_plan();
  plan.add_group_sizes(1000);
  plan.set_rounds(20);
  plan.set_rounds_per_epoch(10);
  definition.set_checkpoint_dir("checkpoints");
  return definition;
}

JobStateRecord State() {
  JobStateRecord state;
  state.set_state(JOB_STATE_RUNNING);
  View& view = *state.mutable_view();
  view.set_job(1);
  view.set_view(1);
  view.add_shards()->mutable_primary()->set_node_id(1);
  SlotAssignment& slots = *view.add_slots();
  slots.mutable_worker()->set_node_id(2);
  slots.set_slot_end(4);
  view.mutable_restore()->set_restore_id(1);
  return state;
}

StoredRecord ARecord(ByteSource* source) {
  const uint64_t id = 1 + source->Below(3);
  switch (source->Below(6)) {
    case 0: {
      IdCounters counters;
      counters.set_next_node(5);
      counters.set_next_job(4);
      return MakeRecord(source, kCounterTable, "ids", counters);
    }
    case 1: {
      NodeRecord node;
      node.set_node_id(id);
      node.set_name("node");
      node.mutable_join()->set_protocol_version(kProtocolVersion);
      node.mutable_join()->set_role(id == 1 ? NODE_ROLE_SERVER : NODE_ROLE_WORKER);
      node.mutable_join()->set_address("a:1");
      return MakeRecord(source, kNodeTable, RecordKey(id), node);
    }
    case 2:
      return MakeRecord(source, kJobTable, RecordKey(id), Definition(id));
    case 3:
      return MakeRecord(source, kStateTable, RecordKey(id), State());
    case 4: {
      EvaluationRecord evaluation;
      evaluation.set_set(EVALUATION_SET_VALIDATION);
      evaluation.set_version(10);
      evaluation.mutable_statistics()->set_examples(4);
      for (int cell : {1, 1, 1, 1}) evaluation.mutable_statistics()->add_confusion(cell);
      return MakeRecord(source, kEvaluationTable, RecordKey(id, source->Below(4)), evaluation);
    }
    default:
      return {source->Bytes(12), source->Bytes(20), source->Bytes(60)};
  }
}

using Table = std::map<std::pair<std::string, std::string>, std::string>;

std::vector<StoredRecord> RecordsOf(const Table& table) {
  std::vector<StoredRecord> records;
  for (const auto& [key, value] : table) {
    if (key.first != kEventTable) records.push_back({key.first, key.second, value});
  }
  return records;
}

void Apply(const std::vector<Action>& actions, Table* table) {
  for (const Action& action : actions) {
    if (const auto* persist = std::get_if<Persist>(&action)) {
      (*table)[{persist->record.table, persist->record.key}] = persist->record.value;
    } else if (const auto* erase = std::get_if<Erase>(&action)) {
      table->erase({erase->table, erase->key});
    }
  }
}

}  // namespace
}  // namespace shoal::scheduler

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace shoal;
  using namespace shoal::scheduler;
  ByteSource source(data, size);
  Table table;
  for (int i = 0; i < kMaxRecords && !source.done(); ++i) {
    StoredRecord record = ARecord(&source);
    table[{record.table, record.key}] = record.value;
  }
  SchedulerCore core{SchedulerOptions()};
  const absl::Status loaded = core.Load(kStart, RecordsOf(table));
  if (!loaded.ok()) {
    SHOAL_CHECK(loaded.code() == absl::StatusCode::kDataLoss);
    return 0;
  }
  Apply(core.TakeActions(), &table);
  core.Tick(kStart + absl::Milliseconds(100));
  Apply(core.TakeActions(), &table);
  (void)core.GetStatus(kStart);
  const std::vector<Job> jobs = core.ListJobs();
  SchedulerCore again{SchedulerOptions()};
  SHOAL_CHECK_OK(again.Load(kStart, RecordsOf(table)));
  SHOAL_CHECK(again.ListJobs().size() == jobs.size());
  return 0;
}
