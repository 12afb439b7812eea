#include "scheduler/membership.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/version.h"

namespace shoal::scheduler {

NodeRef Member::ref() const {
  NodeRef ref;
  ref.set_node_id(id.value());
  ref.set_name(name);
  ref.set_address(join.address());
  return ref;
}

void Membership::Load(absl::Time now, const NodeRecord& record) {
  Member& member = members_[NodeId(record.node_id())];
  member.id = NodeId(record.node_id());
  member.name = record.name();
  member.join = record.join();
  member.last_seen = now;
  member.expires = now + options_.lease;
}

std::string Membership::UniqueName(const JoinRequest& request, NodeId id) const {
  const auto taken = [this](const std::string& name) {
    return std::any_of(members_.begin(), members_.end(),
                       [&](const auto& entry) { return entry.second.name == name; });
  };
  const std::string base = !request.name().empty()              ? request.name()
                           : request.role() == NODE_ROLE_SERVER ? "server"
                                                                : "worker";
  if (!request.name().empty() && !taken(base)) return base;
  return absl::StrCat(base, "-", id.value());
}

absl::StatusOr<Member*> Membership::Join(absl::Time now, NodeId id, const JoinRequest& request, Outbox* out) {
  if (request.protocol_version() != kProtocolVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the node speaks protocol version ", request.protocol_version(), " (", request.build(),
        "), this scheduler ", kProtocolVersion, " (", kBuildVersion, "): use the same release everywhere"));
  }
  if (request.role() != NODE_ROLE_SERVER && request.role() != NODE_ROLE_WORKER) {
    return absl::InvalidArgumentError("role: expected server or worker");
  }
  if (request.role() == NODE_ROLE_SERVER && request.address().empty()) {
    return absl::InvalidArgumentError("address: a server must say where it serves");
  }
  Member member;
  member.id = id;
  member.name = UniqueName(request, id);
  member.join = request;
  member.last_seen = now;
  member.expires = now + options_.lease;
  NodeRecord record;
  record.set_node_id(id.value());
  record.set_name(member.name);
  *record.mutable_join() = request;
  out->Save(kNodeTable, RecordKey(id.value()), record);
  return &(members_[id] = member);
}

void Membership::SessionOpened(absl::Time now, Member* member) {
  member->connected = true;
  Seen(now, member);
}

void Membership::SessionBroken(absl::Time now, Member* member) {
  member->connected = false;
  member->expires = std::min(member->expires, std::max(now + options_.session_grace, lenient_until_));
}

void Membership::Seen(absl::Time now, Member* member) {
  member->last_seen = now;
  member->expires = now + options_.lease;
}

void Membership::Awake(absl::Time now, absl::Duration asleep) {
  for (auto& [id, member] : members_) {
    member.last_seen += asleep;
    member.expires += asleep;
  }
  lenient_until_ = now + options_.lease;
}

Member* Membership::Find(NodeId id) {
  const auto found = members_.find(id);
  return found == members_.end() ? nullptr : &found->second;
}

const Member* Membership::Find(NodeId id) const {
  const auto found = members_.find(id);
  return found == members_.end() ? nullptr : &found->second;
}

std::vector<NodeId> Membership::Expired(absl::Time now) const {
  std::vector<NodeId> expired;
  for (const auto& [id, member] : members_) {
    if (member.expires <= now) expired.push_back(id);
  }
  return expired;
}

void Membership::Remove(NodeId id, Outbox* out) {
  members_.erase(id);
  out->Remove(kNodeTable, RecordKey(id.value()));
}

}  // namespace shoal::scheduler
