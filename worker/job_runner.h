// What runs one job on a worker, as its node sees it.
#pragma once

#include <string>

#include "proto/scheduler.pb.h"

namespace shoal::worker {

// Thread-safe; nothing waits for a slot but the destructor.
class JobRunner {
 public:
  // Cancels, and waits for the slot that runs.
  virtual ~JobRunner() = default;
  virtual void OnView(const View& view) = 0;
  virtual void OnTarget(const Target& target) = 0;
  virtual void OnSessionOpened() = 0;
  // Ends it without waiting: no slot begins, nothing is pushed or reported any more. Returns what still runs,
  // for messages; empty: nothing.
  virtual std::string Cancel() = 0;
  // Adds what it is at, and whom it can't reach.
  virtual void AddTo(Heartbeat* heartbeat) const = 0;
};

}  // namespace shoal::worker
