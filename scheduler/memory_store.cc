#include "scheduler/memory_store.h"

namespace shoal::scheduler {

absl::StatusOr<std::vector<StoredRecord>> MemoryStore::ReadAll() {
  std::vector<StoredRecord> records;
  for (const auto& [key, value] : *tables_) {
    if (key.first != kEventTable) records.push_back({key.first, key.second, value});
  }
  return records;
}

absl::StatusOr<std::vector<JobEvent>> MemoryStore::ReadEvents(JobId job, uint64_t after, int limit) {
  std::vector<JobEvent> events;
  const auto end = tables_->upper_bound({kEventTable, RecordKey(job.value(), ~uint64_t{0})});
  for (auto at = tables_->upper_bound({kEventTable, RecordKey(job.value(), after)});
       at != end && static_cast<int>(events.size()) < limit; ++at) {
    events.emplace_back();
    if (!events.back().ParseFromString(at->second)) return absl::DataLossError("an event can't be read");
  }
  return events;
}

absl::Status MemoryStore::Apply(const std::vector<Action>& actions) {
  const bool writes = !actions.empty() && (std::holds_alternative<Persist>(actions[0]) ||
                                           std::holds_alternative<Erase>(actions[0]));
  if (writes && !failure_.ok()) return failure_;
  for (const Action& action : actions) {
    if (const auto* persist = std::get_if<Persist>(&action)) {
      (*tables_)[{persist->record.table, persist->record.key}] = persist->record.value;
    } else if (const auto* erase = std::get_if<Erase>(&action)) {
      tables_->erase({erase->table, erase->key});
    }
  }
  return absl::OkStatus();
}

}  // namespace shoal::scheduler
