// What runs one job on a worker, as its node sees it.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "proto/scheduler.pb.h"
#include "worker/program.h"
#include "worker/worker_rounds.h"

namespace shoal::worker {

// Thread-safe; nothing waits for a slot but the destructor.
class JobRunner {
 public:
  // Cancels what runs and waits for it.
  virtual ~JobRunner() = default;
  virtual void OnView(const View& view) = 0;
  virtual void OnTarget(const Target& target) = 0;
  virtual void OnSessionOpened() = 0;
  // Adds what it is at, and whom it can't reach.
  virtual void AddTo(Heartbeat* heartbeat) const = 0;
};

}  // namespace shoal::worker
