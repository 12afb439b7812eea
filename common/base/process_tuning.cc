#include "common/base/process_tuning.h"

#include <malloc.h>

#include "absl/synchronization/mutex.h"

namespace shoal {

void TuneProcess() {
  // Larger allocations (parameters, gradients, optimizer state) have mappings of their own, unmapped when
  // freed.
  mallopt(M_MMAP_THRESHOLD, 4 << 20);
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
  mallopt(M_TOP_PAD, 16 << 20);
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
}

}  // namespace shoal
