// Which peers a node gets no answer from, and since when.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "proto/scheduler.pb.h"

namespace shoal::worker {

// Pure. Not thread-safe.
class PeerHealth {
 public:
  // From now on these are the peers; of others nothing is known any more.
  void SetPeers(const std::vector<NodeRef>& peers);

  // An attempt at `address` has ended so. An error that the peer itself gave (of a view that is over, for
  // one) is an answer too.
  void OnAttempt(const std::string& address, const absl::Status& status, absl::Time now);

  // Whether the last attempt got no answer.
  bool IsUnreachable(const std::string& address) const;

  // Adds the peers that are unreachable.
  void AddTo(Heartbeat* heartbeat, absl::Time now) const;

 private:
  struct Peer {
    NodeRef peer;
    absl::Time since = absl::InfiniteFuture();  // InfiniteFuture: it has answered
    std::string error;
  };
  std::map<std::string, Peer> peers_;  // by address
};

// A connection's failure for people: "connection refused", "no answer for 2 s".
std::string ConnectionError(const absl::Status& status, absl::Duration timeout);

}  // namespace shoal::worker
