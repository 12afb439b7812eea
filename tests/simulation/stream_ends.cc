#include "tests/simulation/stream_ends.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "google/protobuf/descriptor.h"

namespace shoal::simulation {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

Payload Damage(EventQueue* queue, const Payload& payload) {
  std::vector<uint8_t> bytes;
  for (const grpc::Slice& slice : payload.slices()) bytes.insert(bytes.end(), slice.begin(), slice.end());
  bytes[queue->Below(bytes.size())] ^= static_cast<uint8_t>(1 << queue->Below(8));
  return Payload::CopyOf(bytes);
}

// Changes one of the fields that are set.
void DamageField(EventQueue* queue, Message* message) {
  const Reflection* const reflection = message->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(*message, &fields);
  if (fields.empty()) return;
  const FieldDescriptor* const field = fields[queue->Below(fields.size())];
  const uint32_t bit = 1 << queue->Below(4);
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection->SetUInt32(message, field, reflection->GetUInt32(*message, field) ^ bit);
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection->SetUInt64(message, field, reflection->GetUInt64(*message, field) ^ bit);
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->SetBool(message, field, !reflection->GetBool(*message, field));
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection->SetEnumValue(message, field, reflection->GetEnumValue(*message, field) ^ 1);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection->SetDouble(message, field, reflection->GetDouble(*message, field) + bit);
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string text = reflection->GetString(*message, field);
      text[queue->Below(text.size())] ^= static_cast<char>(bit);
      return reflection->SetString(message, field, text);
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return DamageField(queue, reflection->MutableMessage(message, field));
    default:
      SHOAL_CHECK(false);  // headers have no other types
  }
}

}  // namespace

void StreamsAtWorker::Keep(const std::shared_ptr<Connection>& connection) {
  connections.erase(
      std::remove_if(connections.begin(), connections.end(), [](const auto& weak) { return weak.expired(); }),
      connections.end());
  connections.push_back(connection);
}

void StreamsAtWorker::CancelAll() {
  alive = false;
  for (const auto& connection : connections) {
    const auto open = connection.lock();
    if (open != nullptr) open->Close(Connection::kClient, absl::CancelledError("cancelled"));
  }
}

void StreamAtServer::End(const absl::Status& status) {
  connection_->Close(Connection::kServer, status);
  process()->After(absl::ZeroDuration(), [self = shared_from_this()] { self->Release(); });
}

void StreamAtServer::ReleaseWhenClosed() {
  connection_->OnClosed(Connection::kServer,
                        [self = shared_from_this()](const absl::Status&) { self->Release(); });
}

void DamageByWeather(Network* network, google::protobuf::Message* header, Payload* payload) {
  EventQueue& queue = network->queue();
  if (!queue.Chance(network->weather().damaged)) return;
  if (queue.Chance(0.5)) {
    DamageField(&queue, header);
  } else {
    *payload = Damage(&queue, *payload);
  }
}

}  // namespace shoal::simulation
