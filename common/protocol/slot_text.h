// How messages name a slot's work.
#pragma once

#include <string>

#include "common/base/types.h"
#include "proto/scheduler.pb.h"

namespace shoal {

// "round 7, slot 2", "evaluation after round 7, slot 2", "test after round 7, slot 2". `set`:
// EVALUATION_SET_NONE for training. `version`: of the parameters that the slot computes with.
std::string SlotText(EvaluationSet set, Version version, Slot slot);

}  // namespace shoal
