#include "kernels/cpu/scratch.h"

#include <algorithm>

namespace shoal::kernels {

std::byte* Scratch::OfThread(int thread, int64_t size_bytes) {
  of_threads_[thread].Reserve(size_bytes);
  return of_threads_[thread].At(0);
}

std::byte* Scratch::Shared(int64_t size_bytes) {
  shared_.Reserve(size_bytes);
  return shared_.At(0);
}

void Scratch::EvenOut() {
  int64_t most = 0;
  for (const Arena& arena : of_threads_) most = std::max(most, arena.size_bytes());
  for (Arena& arena : of_threads_) arena.Reserve(most);
}

int64_t Scratch::allocations() const {
  int64_t allocations = shared_.allocations();
  for (const Arena& arena : of_threads_) allocations += arena.allocations();
  return allocations;
}

}  // namespace shoal::kernels
