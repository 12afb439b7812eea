#include "worker/peer_health.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "worker/parameter_streams.h"

namespace shoal::worker {
namespace {

// What the transport says, and not the peer. UNIMPLEMENTED: something else listens there.
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

void PeerHealth::OnAttempt(const std::string& address, const absl::Status& status, absl::Time now) {
  const auto found = peers_.find(address);
  if (found == peers_.end() || absl::IsCancelled(status)) return;
  Peer& peer = found->second;
  if (!IsNoAnswer(status)) {
    peer.since = absl::InfiniteFuture();
    return;
  }
  peer.since = std::min(peer.since, now);
  peer.error = ConnectionError(status, ParameterStreams::kVersionsTimeout);
}

bool PeerHealth::IsUnreachable(const std::string& address) const {
  const auto found = peers_.find(address);
  return found != peers_.end() && found->second.since != absl::InfiniteFuture();
}

void PeerHealth::AddTo(Heartbeat* heartbeat, absl::Time now) const {
  for (const auto& [address, peer] : peers_) {
    if (peer.since == absl::InfiniteFuture()) continue;
    UnreachablePeer& unreachable = *heartbeat->add_unreachable();
    *unreachable.mutable_peer() = peer.peer;
    unreachable.set_seconds(absl::ToDoubleSeconds(now - peer.since));
    unreachable.set_error(peer.error);
  }
}

std::string ConnectionError(const absl::Status& status, absl::Duration timeout) {
  if (absl::IsDeadlineExceeded(status)) {
    return absl::StrCat("no answer for ", absl::ToInt64Seconds(timeout), " s");
  }
  if (absl::IsUnimplemented(status)) return "what listens there is no parameter server";
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
