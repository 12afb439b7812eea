#include "worker/peer_health.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "worker/parameter_streams.h"

namespace shoal::worker {
namespace {

// Whether the error comes from the transport rather than the peer. UNIMPLEMENTED: another program listens
// there.
bool IsNoAnswer(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) || absl::IsUnimplemented(status) ||
         absl::IsUnknown(status);
}

}  // namespace

void PeerHealth::SetPeers(const std::vector<NodeRef>& peers) {
  std::map<std::string, Peer> now;
  for (const NodeRef& peer : peers) {
    const auto known = peers_.find(peer.address());
    if (known != peers_.end() && known->second.peer.node_id() == peer.node_id()) {
      now[peer.address()] = known->second;
    } else {
      now[peer.address()].peer = peer;
    }
  }
  peers_ = std::move(now);
}

PeerHealth::Peer* PeerHealth::Find(const std::string& address) {
  const auto found = peers_.find(address);
  return found == peers_.end() ? nullptr : &found->second;
}

void PeerHealth::OnOpened(const std::string& address, Direction direction, absl::Time now) {
  if (Peer* const peer = Find(address)) peer->way(direction).opened = now;
}

void PeerHealth::OnClosed() {
  for (auto& [address, peer] : peers_) {
    for (Way* way : {&peer.pull, &peer.push}) {
      way->opened = absl::InfiniteFuture();
      way->broke = false;
    }
  }
}

void PeerHealth::OnBroken(const std::string& address, Direction direction, const absl::Status& status,
                          absl::Time now) {
  Peer* const peer = Find(address);
  if (peer == nullptr) return;
  Way& way = peer->way(direction);
  if (absl::IsFailedPrecondition(status) || absl::IsOutOfRange(status)) {
    way.Heal();
  } else if (!status.ok() && !absl::IsCancelled(status)) {
    way.Fail(status, now);
    way.broke = true;
  }
  way.opened = absl::InfiniteFuture();
}

void PeerHealth::OnQuestion(const std::string& address, const absl::Status& status, absl::Time now) {
  Peer* const peer = Find(address);
  if (peer == nullptr || absl::IsCancelled(status)) return;
  if (IsNoAnswer(status)) return peer->pull.Fail(status, now);
  for (Way* way : {&peer->pull, &peer->push}) {
    way->answered = now;
    if (!way->broke) way->Heal();
  }
}

void PeerHealth::OnDelivery(const std::string& address, absl::Time now) {
  Peer* const peer = Find(address);
  if (peer == nullptr) return;
  peer->pull.Heal();
  if (!peer->push.IsFailing(now)) peer->push.Heal();
}

bool PeerHealth::IsUnreachable(const std::string& address, absl::Time now) const {
  const auto found = peers_.find(address);
  if (found == peers_.end()) return false;
  return found->second.pull.IsFailing(now) || found->second.push.IsFailing(now);
}

void PeerHealth::AddTo(Heartbeat* heartbeat, absl::Time now) const {
  for (const auto& [address, peer] : peers_) {
    absl::Time since = absl::InfiniteFuture();
    std::vector<std::string> errors;
    for (const auto& [name, way] : {std::make_pair("pull", &peer.pull), std::make_pair("push", &peer.push)}) {
      if (!way->IsFailing(now)) continue;
      since = std::min(since, way->since);
      errors.push_back(absl::StrCat(name, ": ", way->error));
    }
    if (errors.empty()) continue;
    const bool alike = errors.size() == 2 && peer.pull.error == peer.push.error;
    UnreachablePeer& unreachable = *heartbeat->add_unreachable();
    *unreachable.mutable_peer() = peer.peer;
    unreachable.set_seconds(absl::ToDoubleSeconds(now - since));
    unreachable.set_error(alike ? peer.pull.error : absl::StrJoin(errors, "; "));
  }
}

absl::Duration PeerHealth::Way::Stood(absl::Time now) const {
  return opened == absl::InfiniteFuture() ? absl::ZeroDuration() : now - std::max(opened, failed);
}

bool PeerHealth::Way::IsFailing(absl::Time now) const {
  return since != absl::InfiniteFuture() && (answered < failed || Stood(now) < kStands);
}

void PeerHealth::Way::Fail(const absl::Status& status, absl::Time now) {
  since = Stood(now) >= kForgotten ? now : std::min(since, now);
  failed = now;
  error = ConnectionError(status, ParameterStreams::kVersionsTimeout);
}

void PeerHealth::Way::Heal() {
  since = absl::InfiniteFuture();
  broke = false;
}

std::string ConnectionError(const absl::Status& status, absl::Duration timeout) {
  if (absl::IsDeadlineExceeded(status)) {
    return absl::StrCat("no answer for ", absl::ToInt64Seconds(timeout), " s");
  }
  if (absl::IsUnimplemented(status)) return "the program that listens there is not a parameter server";
  // gRPC: "failed to connect to all addresses; last error: UNKNOWN: ipv4:...: Connection refused".
  for (const char* known : {"Connection refused", "No route to host", "Network is unreachable",
                            "Connection reset by peer", "Connection timed out", "DNS resolution failed"}) {
    if (absl::StrContains(status.message(), known)) {
      const bool is_name = absl::StartsWith(known, "DNS");
      return is_name ? known : absl::AsciiStrToLower(known);
    }
  }
  return std::string(status.message());
}

}  // namespace shoal::worker
