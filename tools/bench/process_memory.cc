#include "tools/bench/process_memory.h"

#include <sys/resource.h>

namespace shoal::bench {

int64_t PeakMemory_bytes() {
  rusage usage = {};
  return getrusage(RUSAGE_SELF, &usage) == 0 ? int64_t{usage.ru_maxrss} * 1024 : 0;
}

}  // namespace shoal::bench
