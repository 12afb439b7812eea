// Changes to protobuf messages, steered by a fuzzer's bytes.
#pragma once

#include "google/protobuf/message.h"
#include "tests/fuzz/byte_source.h"

namespace shoal {

// Changes one field, at any depth: set, cleared, an element added, doubled or removed. A correct message
// stays near enough to one to get deep into the code that handles it.
void MutateField(ByteSource* source, google::protobuf::Message* message);

// None, one or a few changed fields; none most of the time.
void MutateMessage(ByteSource* source, google::protobuf::Message* message);

}  // namespace shoal
