// Asks the other shards of a job for their norms.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/backoff.h"
#include "common/base/executor.h"
#include "common/base/types.h"
#include "proto/parameter.pb.h"
#include "proto/scheduler.pb.h"
#include "server/peer_link.h"

namespace shoal::server {

// Asks the primaries of the newest view's other shards until each has answered. Bounded: it keeps the newest
// request for each peer, and has at most one call to it in progress in each view (calls of past views end
// within their timeout).
//
// Thread-safe; never blocks. Its lock is taken last, and not held while a peer is called or an answer is
// taken: both may call it back.
class NormsClient {
 public:
  struct Options {
    JobId job;                   // for the log
    PeerLink* peers = nullptr;   // outlives it
    Executor* timers = nullptr;  // outlives it, but must have stopped when it is destroyed
    // Checks and applies an answer: ShardCore::OnNorms. Called on `timers`.
    std::function<absl::Status(const Norms&)> take;
  };
  explicit NormsClient(Options options);
  // Calls in progress may end later, without effect.
  ~NormsClient();

  // `view`, newer than the last one, becomes the newest: earlier requests are dropped.
  void Begin(const View& view) ABSL_LOCKS_EXCLUDED(mutex_);
  // Final: no peer is asked any more.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);

  // ShardEffects::AskNorms. A peer that refused, or could not be reached, is asked again after a while, not
  // at once. Ignored when `view` is not the newest or has no shard `peer`, or a later round was asked for.
  void Ask(ViewId view, uint32_t peer, const NormsRequest& request) ABSL_LOCKS_EXCLUDED(mutex_);

  // Adds the peers that don't answer, refuse, or answer with wrong norms, by shard.
  void AddUnreachable(Heartbeat* heartbeat) const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  class Life;
  // What this shard asks of another shard's primary.
  struct Peer {
    NodeRef node;
    NormsRequest request;         // the newest
    bool wanted = false;          // not answered yet
    bool calling = false;         // a call is in progress
    bool again = false;           // and the peer may have advanced since that call reached it
    uint64_t calls = 0;           // so far
    absl::Status error;           // why it can't be reached or refuses to exchange norms; OK: neither
    absl::Time failed;            // when `error` began
    Backoff backoff{0};           // while it refuses
    std::optional<Round> warned;  // the round for which a refusal was last logged
  };

  // Null when the view is over or has no such shard.
  Peer* Find(ViewId view, uint32_t peer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Does nothing while a call is in progress. `calls`: only if exactly this many were made so far.
  void Call(ViewId view, uint32_t peer, std::optional<uint64_t> calls = std::nullopt)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void OnAnswer(const NormsRequest& request, uint32_t peer, const absl::StatusOr<Norms>& answer)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Checks and applies the peer's answer; returns whether it was complete.
  absl::StatusOr<bool> Take(const NormsRequest& request, uint32_t peer, const Norms& answer)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Returns how long to wait before trying again, after a failure.
  absl::Duration NoteAnswer(Peer* peer, Round round, const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteReachable(Peer* peer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteUnreachable(Peer* peer, const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteRefusal(Peer* peer, Round round, const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  const std::shared_ptr<Life> life_;  // for answers, which may arrive after the client is destroyed

  mutable absl::Mutex mutex_;
  ViewId view_ ABSL_GUARDED_BY(mutex_);              // the newest; 0: none yet
  std::vector<Peer> peers_ ABSL_GUARDED_BY(mutex_);  // of view_, by shard; includes this shard itself
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace shoal::server
