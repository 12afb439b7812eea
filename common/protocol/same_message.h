// Whether two messages are equal.
#pragma once

#include "google/protobuf/message.h"

namespace shoal {

// Compares all fields, unknown ones too, except field number `ignored`; NaN equals NaN. Both must have the
// same type.
bool SameMessage(const google::protobuf::Message& a, const google::protobuf::Message& b, int ignored = 0);

}  // namespace shoal
