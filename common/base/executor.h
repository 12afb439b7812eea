// Where a shell runs what must happen later, or on another thread: on a thread of its own
// (common/base/timer_queue.h), or in the simulated time of tests/simulation. Shells are given their executors
// and start no other threads, so the simulation runs the shells that ship.
#pragma once

#include <functional>
#include <memory>

#include "absl/time/time.h"

namespace shoal {

// Runs tasks one at a time, in order of their time; tasks of equal time in the order they were added.
// Thread-safe.
//
// How many tasks may wait is not limited here: a task that is dropped or refused would have to be handled at
// each call. Who adds tasks while an earlier one may hang must limit them, for example to one that does
// whatever is to be done by then.
class Executor {
 public:
  virtual ~Executor() = default;

  // Monotonic (common/base/clock.h).
  virtual absl::Time Now() const = 0;

  // Runs `task` once, after `delay`; dropped when the executor has stopped. Tasks may add tasks.
  virtual void After(absl::Duration delay, std::function<void()> task) = 0;

  // Runs `task` once, soon.
  void Post(std::function<void()> task) { After(absl::ZeroDuration(), std::move(task)); }

  // Waits for the running task and drops those that are queued. Must not be called from a task. Calling it
  // twice is harmless.
  virtual void Stop() = 0;
};

// Makes an executor. `name` says what it is for: "timers", "updates", "files".
using ExecutorFactory = std::function<std::unique_ptr<Executor>(const char* name)>;

}  // namespace shoal
