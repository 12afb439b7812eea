#include "scheduler/membership.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/release.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "common/rpc/address.h"

namespace shoal::scheduler {
namespace {

constexpr size_t kMaxNameBytes = 128;
constexpr size_t kMaxTextBytes = 1024;

absl::Status CheckRequest(const JoinRequest& request) {
  if (request.protocol_version() != kProtocolVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the node speaks protocol version ", request.protocol_version(), " (", ToQuoted(request.build()),
        "), this scheduler ", kProtocolVersion, " (", kBuildVersion, "): use the same release everywhere"));
  }
  if (request.role() != NODE_ROLE_SERVER && request.role() != NODE_ROLE_WORKER) {
    return absl::InvalidArgumentError("role: expected server or worker");
  }
  for (const auto& [field, text] :
       {std::pair("name", &request.name()), std::pair("address", &request.address()),
        std::pair("machine", &request.machine())}) {
    const std::string problem = NodeTextProblem(*text);
    if (!problem.empty()) return absl::InvalidArgumentError(absl::StrCat(field, ": ", problem));
  }
  if (request.name().size() > kMaxNameBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("name: expected at most ", kMaxNameBytes, " bytes, got ", request.name().size()));
  }
  if (request.ByteSizeLong() > kMaxTextBytes + kMaxNameBytes) {
    return absl::InvalidArgumentError(absl::StrCat("expected a node description of at most ", kMaxTextBytes,
                                                   " bytes, got ", request.ByteSizeLong()));
  }
  if (request.role() == NODE_ROLE_SERVER && IsWildcard(request.address())) {
    return absl::InvalidArgumentError(
        absl::StrCat("address: \"", request.address(),
                     "\" can't be used by workers to reach this server: start it with "
                     "--advertise HOST:PORT"));
  }
  return absl::OkStatus();
}

}  // namespace

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
  member.opened = true;  // as far as is known
  member.last_seen = now;
  member.expires = now + options_.lease;
}

// ---- names ----

const Member* Membership::FindName(const std::string& name) const {
  for (const auto& [id, member] : members_) {
    if (member.name == name) return &member;
  }
  return nullptr;
}

std::string Membership::MakeName(const JoinRequest& request, NodeId id) const {
  std::string name = absl::StrCat(request.machine(), request.machine().empty() ? "" : "-",
                                  request.role() == NODE_ROLE_SERVER ? "server" : "worker", "-", id.value());
  while (FindName(name) != nullptr) name += "x";
  return name;
}

// ---- joining ----

Member* Membership::FindProcess(const JoinRequest& request) {
  for (auto& [id, member] : members_) {
    if (request.incarnation() != 0 && member.join.incarnation() == request.incarnation() &&
        member.join.role() == request.role() && member.join.name() == request.name())
      return &member;
  }
  return nullptr;
}

absl::StatusOr<Member*> Membership::Join(absl::Time now, NodeId id, const JoinRequest& request, Outbox* out) {
  SHOAL_RETURN_IF_ERROR(CheckRequest(request));
  if (const Member* const other = FindName(request.name())) {
    const std::string lease = absl::StrFormat("%.1f s", absl::ToDoubleSeconds(other->expires - now));
    return absl::AlreadyExistsError(absl::StrCat(
        "the name ", other->name, " is taken by node ", other->id.value(), " at ",
        other->join.address().empty() ? other->join.machine() : other->join.address(),
        other->leaving ? ", which is leaving: the name is free once it has left"
        : other->connected
            ? ", which is alive; choose another --name"
            : absl::StrCat(", which has no session: unless it comes back, the name is free in ", lease)));
  }
  Member member;
  member.id = id;
  member.name = request.name().empty() ? MakeName(request, id) : request.name();
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
  member->opened = true;
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

void Membership::Leaving(Member* member, Outbox* out) {
  member->leaving = true;
  out->Remove(kNodeTable, RecordKey(member->id.value()));
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
