// Damaged messages, for tests.
#pragma once

#include "absl/functional/function_ref.h"
#include "google/protobuf/message.h"

namespace shoal {

// Flips one bit of one field of `message` (also in its sub-messages and repeated fields), calls fn, and flips
// it back: for each bit of each number and enum, and each bool; of repeated fields, for doubles only.
void ForEachFlippedBit(google::protobuf::Message* message, absl::FunctionRef<void()> fn);

}  // namespace shoal
