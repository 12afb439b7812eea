#include "common/heap.h"

#include <malloc.h>

namespace shoal {

void KeepFreedMemory() {
  // What is larger (parameters, gradients, optimizer state) is mapped by itself, and unmapped when it is
  // freed.
  mallopt(M_MMAP_THRESHOLD, 4 << 20);
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
  mallopt(M_TOP_PAD, 16 << 20);
}

}  // namespace shoal
