#include "tests/simulation/shrink.h"

#include "tests/simulation/run_schedule.h"

namespace shoal::simulation {

Schedule Shrink(Schedule failing, int budget) {
  bool smaller = true;
  while (smaller) {
    smaller = false;
    for (const Schedule& simpler : Simpler(failing)) {
      if (--budget < 0) return failing;
      if (RunSchedule(simpler).failure.empty()) continue;
      failing = simpler;
      smaller = true;
      break;
    }
  }
  return failing;
}

}  // namespace shoal::simulation
