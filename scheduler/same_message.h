// Whether two messages say the same.
#pragma once

#include "google/protobuf/message.h"

namespace shoal::scheduler {

// All fields, unknown ones too; NaN equals NaN. Both must be of one type.
bool Same(const google::protobuf::Message& a, const google::protobuf::Message& b);

}  // namespace shoal::scheduler
