// Whether two messages say the same.
#pragma once

#include "google/protobuf/message.h"

namespace shoal::scheduler {

// In all fields but the one of the number `ignored`, in unknown ones too; NaN equals NaN. Both must be of one
// type.
bool Same(const google::protobuf::Message& a, const google::protobuf::Message& b, int ignored = 0);

}  // namespace shoal::scheduler
