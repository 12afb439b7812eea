// Storage that damages what was committed to it.
#pragma once

#include "tests/simulation/run_state.h"

namespace shoal::simulation {

// Damages a file of a checkpoint, chosen by `fault`: flip, tear, swap or lose (schedule.h). Adds its
// checkpoint to state->damaged. No effect while there is none.
void DamageCheckpoint(const Fault& fault, RunState* state);

}  // namespace shoal::simulation
