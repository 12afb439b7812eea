// Which peers a node gets no answer from, and since when.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "proto/scheduler.pb.h"

namespace shoal::worker {

enum class Direction { kPull, kPush };

// Pushes and pulls have connections of their own, so each direction is well or not by itself. One that has
// broken is well again when a new stream has stood for kStands and the peer has answered a question since, or
// a pull when a block has come. A stream that breaks again and again is unreachable since the first time,
// also while it stands in between: that is forgotten when it has stood for kForgotten, or blocks come
// meanwhile.
//
// Pure. Not thread-safe.
class PeerHealth {
 public:
  static constexpr absl::Duration kStands = absl::Seconds(1);
  static constexpr absl::Duration kForgotten = absl::Seconds(10);

  // From now on these are the peers; of others nothing is known any more.
  void SetPeers(const std::vector<NodeRef>& peers);

  // A stream to `address` is begun; whether it stands is to be seen.
  void OnOpened(const std::string& address, Direction direction, absl::Time now);
  // All streams are cancelled from here: what has broken is proved well by an answer alone.
  void OnClosed();
  // A stream has ended by itself. An end that the peer means (the view is over, the version gone) is an
  // answer; any other failure counts, refusals and damaged messages too.
  void OnBroken(const std::string& address, Direction direction, const absl::Status& status, absl::Time now);
  // A question, which goes the way of the pulls, has ended. An error that the peer itself gave is an answer.
  void OnQuestion(const std::string& address, const absl::Status& status, absl::Time now);
  void OnDelivery(const std::string& address, absl::Time now);

  bool IsUnreachable(const std::string& address, absl::Time now) const;

  // Adds the peers that are unreachable. The error names the direction, unless both are the same.
  void AddTo(Heartbeat* heartbeat, absl::Time now) const;

 private:
  struct Way {
    absl::Time since = absl::InfiniteFuture();   // of the first failure; InfiniteFuture: all is well
    absl::Time failed = absl::InfinitePast();    // the last failure
    absl::Time opened = absl::InfiniteFuture();  // the stream; InfiniteFuture: there is none
    absl::Time answered = absl::InfinitePast();  // the last question
    bool broke = false;                          // a stream has, so that an answer alone proves nothing
    std::string error;

    // How long the stream has stood since the last failure.
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

// A connection's failure for people: "connection refused", "no answer for 2 s".
std::string ConnectionError(const absl::Status& status, absl::Duration timeout);

}  // namespace shoal::worker
