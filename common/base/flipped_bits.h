// Damage, for tests.
#pragma once

#include "absl/functional/function_ref.h"
#include "google/protobuf/message.h"

namespace shoal {

// Changes one bit of one field of `message` (also of its sub-messages and repeated fields), calls fn, and
// changes it back: for each bit of each number and enum; of repeated fields, for doubles.
void ForEachFlippedBit(google::protobuf::Message* message, absl::FunctionRef<void()> fn);

}  // namespace shoal
