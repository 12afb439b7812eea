// Makes a failing schedule readable.
#pragma once

#include "tests/simulation/schedule.h"

namespace shoal::simulation {

// Removes from a failing schedule everything that is not needed for it to fail. Runs at most `budget`
// schedules.
Schedule Shrink(Schedule failing, int budget);

}  // namespace shoal::simulation
