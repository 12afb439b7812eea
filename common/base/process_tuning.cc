#include "common/base/process_tuning.h"

#include <malloc.h>

#include "absl/synchronization/mutex.h"

namespace shoal {

void TuneProcess() {
  // What is larger (parameters, gradients, optimizer state) is mapped by itself, and unmapped when it is
  // freed.
  mallopt(M_MMAP_THRESHOLD, 4 << 20);
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
  mallopt(M_TOP_PAD, 16 << 20);
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
}

}  // namespace shoal
