// The interface to what runs one job on a worker.
#pragma once

#include <string>

#include "proto/scheduler.pb.h"

namespace shoal::worker {

// Thread-safe; only the destructor waits for a slot.
class JobRunner {
 public:
  // Cancels, and waits for the running slot.
  virtual ~JobRunner() = default;
  virtual void OnView(const View& view) = 0;
  virtual void OnTarget(const Target& target) = 0;
  virtual void OnSessionOpened() = 0;
  // Ends the job without waiting: no further slot starts, and nothing more is pushed or reported. Returns
  // what is still running, for messages; empty: nothing.
  virtual std::string Cancel() = 0;
  // Adds what it is doing, which peers it can't reach, and how long its queues are.
  virtual void AddTo(Heartbeat* heartbeat) const = 0;
};

}  // namespace shoal::worker
