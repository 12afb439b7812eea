// How long a queue is, for heartbeats and the status.
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "proto/scheduler.pb.h"

namespace shoal {

// Adds the queue `name` to those of a heartbeat or a status. Each queue is in the table of docs/protocol.md,
// "Queues and their bounds".
inline void AddQueue(absl::string_view name, uint64_t length, uint64_t limit,
                     google::protobuf::RepeatedPtrField<QueueLength>* queues) {
  QueueLength& queue = *queues->Add();
  queue.set_name(name.data(), name.size());
  queue.set_length(length);
  queue.set_limit(limit);
}

}  // namespace shoal
