#include "scheduler/actions.h"

#include <iterator>

#include "absl/strings/str_format.h"

namespace shoal::scheduler {
namespace {

bool IsFor(const Action& action, const std::string& table, const std::string& key) {
  if (const auto* persist = std::get_if<Persist>(&action)) {
    return persist->record.table == table && persist->record.key == key;
  }
  const auto* erase = std::get_if<Erase>(&action);
  return erase != nullptr && erase->table == table && erase->key == key;
}

}  // namespace

std::string RecordKey(uint64_t id) { return absl::StrFormat("%016x", id); }
std::string RecordKey(uint64_t id, uint64_t index) { return absl::StrFormat("%016x.%016x", id, index); }

void Outbox::Save(std::string table, std::string key, const google::protobuf::MessageLite& message) {
  std::string value;
  message.SerializeToString(&value);
  for (Action& action : records_) {
    if (!IsFor(action, table, key)) continue;
    action = Persist{{std::move(table), std::move(key), std::move(value)}};
    return;
  }
  records_.push_back(Persist{{std::move(table), std::move(key), std::move(value)}});
}

void Outbox::Remove(std::string table, std::string key) {
  for (Action& action : records_) {
    if (!IsFor(action, table, key)) continue;
    action = Erase{std::move(table), std::move(key)};
    return;
  }
  records_.push_back(Erase{std::move(table), std::move(key)});
}

void Outbox::Send(NodeId node, Directive directive) { Do(SendDirective{node, std::move(directive)}); }

std::vector<Action> Outbox::Take() {
  std::vector<Action> actions = std::move(records_);
  actions.insert(actions.end(), std::make_move_iterator(effects_.begin()),
                 std::make_move_iterator(effects_.end()));
  records_.clear();
  effects_.clear();
  return actions;
}

}  // namespace shoal::scheduler
