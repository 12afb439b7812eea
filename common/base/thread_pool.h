// A fixed set of threads for loops. The caller is one of them.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"

namespace shoal {

// Runs the items of one loop at a time. Items are cut by the shape of the work, never by the number of
// threads, and are handed out in order to whichever thread is free. So which thread runs an item is
// undefined, and no result may depend on it.
//
// One thread at a time may call ParallelFor (a worker's compute thread owns the pool). It must not be called
// from inside an item.
class ThreadPool {
 public:
  // `threads` >= 1 includes the caller: `threads` - 1 are started. They go to sleep after spinning for about
  // 50 microseconds without work.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls fn(item, thread) once for each item in [0, items) and returns when all calls have returned.
  // `thread` is in [0, threads()) and names the running thread, for scratch memory; no two items run at the
  // same time with the same one. fn must not throw. Everything written before the call is seen by fn;
  // everything fn wrote is seen after it.
  void ParallelFor(int64_t items, absl::FunctionRef<void(int64_t item, int thread)> fn);

 private:
  using Item = absl::FunctionRef<void(int64_t, int)>;

  void WorkerLoop(int thread);
  void WaitForLoop(uint64_t last_seen);
  void RunItems(const Item& fn, int64_t items, int thread);
  void Publish(const Item* fn, int64_t items);
  void WaitForWorkers();

  // Each on its own cache line: they are written by different threads all the time.
  alignas(64) std::atomic<uint64_t> loop_{0};  // number of the current loop; workers wait for it to change
  alignas(64) std::atomic<int64_t> next_item_{0};  // first item that no thread has taken
  alignas(64) std::atomic<int> busy_workers_{0};   // workers that have not yet left the current loop
  alignas(64) std::atomic<int> sleeping_workers_{0};
  const Item* fn_ = nullptr;  // null: stop
  int64_t items_ = 0;

  absl::Mutex mutex_;
  absl::CondVar wake_;
  std::vector<std::thread> workers_;
};

// The number of pieces when [0, n) is cut into pieces of `grain`; the last may be shorter.
inline int64_t CutCount(int64_t n, int64_t grain) { return (n + grain - 1) / grain; }

}  // namespace shoal
