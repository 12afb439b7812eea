// Which peers do not respond, and since when.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "proto/scheduler.pb.h"

namespace shoal::worker {

enum class Direction { kPull, kPush };

// Pushes and pulls have connections of their own, so each direction has its own health. After a failure a
// direction is healthy again when a new stream has stayed open for kStands and the peer has
// answered a question since; a pull also when a block has arrived. A stream that breaks repeatedly counts as
// unreachable since the first failure, even while it is open in between; that is forgotten when it has stayed
// open for kForgotten, or when blocks arrive.
//
// Pure. Not thread-safe.
class PeerHealth {
 public:
  static constexpr absl::Duration kStands = absl::Seconds(1);
  static constexpr absl::Duration kForgotten = absl::Seconds(10);

  // Replaces the peers; what was known of others is forgotten.
  void SetPeers(const std::vector<NodeRef>& peers);

  // A stream to `address` is being opened; it is not yet known whether it succeeds.
  void OnOpened(const std::string& address, Direction direction, absl::Time now);
  // This node has cancelled all streams: from now on an answer alone proves a broken direction healthy.
  void OnClosed();
  // A stream has ended without being cancelled. An end that the peer intends (the view is over, the version
  // is gone) is an answer; any other end is a failure, including refusals and damaged messages.
  void OnBroken(const std::string& address, Direction direction, const absl::Status& status, absl::Time now);
  // A question, which uses the pulls' connection, has ended. An error returned by the peer itself is an
  // answer.
  void OnQuestion(const std::string& address, const absl::Status& status, absl::Time now);
  void OnDelivery(const std::string& address, absl::Time now);

  bool IsUnreachable(const std::string& address, absl::Time now) const;

  // Adds the unreachable peers. The error names the direction, unless both have the same error.
  void AddTo(Heartbeat* heartbeat, absl::Time now) const;

 private:
  struct Way {
    absl::Time since = absl::InfiniteFuture();   // of the first failure; InfiniteFuture: healthy
    absl::Time failed = absl::InfinitePast();    // the last failure
    absl::Time opened = absl::InfiniteFuture();  // when the stream was opened; InfiniteFuture: there is none
    absl::Time answered = absl::InfinitePast();  // when the last question was answered
    bool broke = false;                          // a stream broke, so an answer alone proves nothing
    std::string error;

    // How long the stream has been open since the last failure.
    absl::Duration Stood(absl::Time now) const;
    bool IsFailing(absl::Time now) const;
    void Fail(const absl::Status& status, absl::Time now);
    void Heal();
  };
  struct Peer {
    NodeRef peer;
    Way pull, push;
    Way& way(Direction direction) { return direction == Direction::kPull ? pull : push; }
  };
  Peer* Find(const std::string& address);

  std::map<std::string, Peer> peers_;  // by address
};

// A connection's failure in a readable form: "connection refused", "no answer for 2 s".
std::string ConnectionError(const absl::Status& status, absl::Duration timeout);

}  // namespace shoal::worker
