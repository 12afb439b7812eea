// Changes to protobuf messages, driven by a fuzzer's bytes.
#pragma once

#include "google/protobuf/message.h"
#include "tests/fuzz/byte_source.h"

namespace shoal {

// Changes one field, at any depth: sets or clears it, or adds, duplicates or removes an element. The message
// stays close enough to a correct one to get deep into the code that handles it.
void MutateField(ByteSource* source, google::protobuf::Message* message);

// Changes no field most of the time, otherwise one or a few.
void MutateMessage(ByteSource* source, google::protobuf::Message* message);

}  // namespace shoal
