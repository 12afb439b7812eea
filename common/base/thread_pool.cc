#include "common/base/thread_pool.h"

#include <immintrin.h>

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/status.h"

namespace shoal {
namespace {

// Loops of one step follow each other within microseconds; waking a thread costs about as much as this.
constexpr absl::Duration kSpin = absl::Microseconds(50);

// Spins until done() or until kSpin has passed; returns done().
template <typename Done>
bool SpinUntil(Done done) {
  const absl::Time deadline = MonotonicNow() + kSpin;
  do {
    for (int i = 0; i < 64; ++i) {
      if (done()) return true;
      _mm_pause();
    }
  } while (MonotonicNow() < deadline);
  return done();
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  SHOAL_CHECK(threads >= 1);
  for (int thread = 1; thread < threads; ++thread) {
    workers_.emplace_back([this, thread] { WorkerLoop(thread); });
  }
}

ThreadPool::~ThreadPool() {
  Publish(nullptr, 0);
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::ParallelFor(int64_t items, absl::FunctionRef<void(int64_t item, int thread)> fn) {
  if (workers_.empty() || items <= 1) {
    for (int64_t item = 0; item < items; ++item) fn(item, 0);
    return;
  }
  Publish(&fn, items);
  RunItems(fn, items, 0);
  WaitForWorkers();
}

void ThreadPool::RunItems(const Item& fn, int64_t items, int thread) {
  for (int64_t item = next_item_++; item < items; item = next_item_++) fn(item, thread);
}

void ThreadPool::Publish(const Item* fn, int64_t items) {
  fn_ = fn;
  items_ = items;
  next_item_ = 0;
  busy_workers_ = static_cast<int>(workers_.size());
  ++loop_;
  // A worker counts itself as sleeping before its last look at loop_. So either it is counted here, or it
  // sees the new loop.
  if (sleeping_workers_ > 0) {
    absl::MutexLock lock(&mutex_);
    wake_.SignalAll();
  }
}

void ThreadPool::WaitForWorkers() {
  const auto done = [this] { return busy_workers_ == 0; };
  if (SpinUntil(done)) return;
  while (!done()) std::this_thread::yield();
}

void ThreadPool::WaitForLoop(uint64_t last_seen) {
  const auto published = [this, last_seen] { return loop_ != last_seen; };
  if (SpinUntil(published)) return;
  absl::MutexLock lock(&mutex_);
  ++sleeping_workers_;
  while (!published()) wake_.Wait(&mutex_);
  --sleeping_workers_;
}

void ThreadPool::WorkerLoop(int thread) {
  for (uint64_t loop = 0;; ++loop) {
    WaitForLoop(loop);
    if (fn_ == nullptr) return;
    RunItems(*fn_, items_, thread);
    --busy_workers_;
  }
}

}  // namespace shoal
