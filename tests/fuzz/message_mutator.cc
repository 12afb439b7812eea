#include "tests/fuzz/message_mutator.h"

#include <cmath>
#include <limits>
#include <string>

namespace shoal {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr int kMaxDepth = 6;
// Maximum number of elements in a list, so that changes don't make it grow without bound.
constexpr int kMaxElements = 64;

double Real(ByteSource* source) {
  constexpr double kReals[] = {0,
                               1,
                               -1,
                               0.5,
                               1e-30,
                               1e30,
                               1e308,
                               std::numeric_limits<double>::denorm_min(),
                               std::numeric_limits<double>::infinity(),
                               -std::numeric_limits<double>::infinity(),
                               std::numeric_limits<double>::quiet_NaN()};
  return kReals[source->Below(std::size(kReals))];
}

// Only what a parsed message can hold: proto3 strings are UTF-8.
std::string Text(ByteSource* source, const FieldDescriptor* field) {
  constexpr const char* kTexts[] = {"", "a", "a.tsv", "/", "../x", "\xC3\xA9", "\n", "1", "none"};
  if (source->Below(4) != 0) return kTexts[source->Below(std::size(kTexts))];
  std::string bytes = source->Bytes(24);
  if (field->type() == FieldDescriptor::TYPE_STRING) {
    for (char& byte : bytes) byte = static_cast<char>(byte & 0x7F);
  }
  return bytes;
}

void SetScalar(ByteSource* source, Message* message, const FieldDescriptor* field) {
  const auto* reflection = message->GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection->SetInt32(message, field, static_cast<int32_t>(source->Number()));
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection->SetInt64(message, field, static_cast<int64_t>(source->Number()));
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection->SetUInt32(message, field, static_cast<uint32_t>(source->Number()));
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection->SetUInt64(message, field, source->Number());
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection->SetDouble(message, field, Real(source));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return reflection->SetFloat(message, field, static_cast<float>(Real(source)));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->SetBool(message, field, source->Flip());
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection->SetEnumValue(message, field, static_cast<int>(source->Number()));
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection->SetString(message, field, Text(source, field));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
}

void AddScalar(ByteSource* source, Message* message, const FieldDescriptor* field) {
  const auto* reflection = message->GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection->AddInt32(message, field, static_cast<int32_t>(source->Number()));
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection->AddInt64(message, field, static_cast<int64_t>(source->Number()));
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection->AddUInt32(message, field, static_cast<uint32_t>(source->Number()));
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection->AddUInt64(message, field, source->Number());
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection->AddDouble(message, field, Real(source));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return reflection->AddFloat(message, field, static_cast<float>(Real(source)));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->AddBool(message, field, source->Flip());
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection->AddEnumValue(message, field, static_cast<int>(source->Number()));
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection->AddString(message, field, Text(source, field));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
}

void Mutate(ByteSource* source, int depth, Message* message);

void MutateList(ByteSource* source, int depth, Message* message, const FieldDescriptor* field) {
  const auto* reflection = message->GetReflection();
  const bool of_messages = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
  const int size = reflection->FieldSize(*message, field);
  const uint32_t choice = source->Below(8);
  if (size > 0 && choice == 0) return reflection->ClearField(message, field);
  if (size > 0 && choice == 1) return reflection->RemoveLast(message, field);
  if (size > 1 && choice == 2)
    return reflection->SwapElements(message, field, static_cast<int>(source->Below(size)), size - 1);
  if (size < kMaxElements && (size == 0 || choice == 3)) {
    if (!of_messages) return AddScalar(source, message, field);
    return Mutate(source, depth + 1, reflection->AddMessage(message, field));
  }
  const int index = static_cast<int>(source->Below(size));
  if (of_messages && choice == 4 && size < kMaxElements) {
    // AddMessage may move the other elements.
    Message* const added = reflection->AddMessage(message, field);
    return added->CopyFrom(reflection->GetRepeatedMessage(*message, field, index));
  }
  if (of_messages)
    return Mutate(source, depth + 1, reflection->MutableRepeatedMessage(message, field, index));
  // There is no generic setter for an element, so replace the last one.
  reflection->RemoveLast(message, field);
  AddScalar(source, message, field);
}

void Mutate(ByteSource* source, int depth, Message* message) {
  const auto* descriptor = message->GetDescriptor();
  if (descriptor->field_count() == 0 || depth > kMaxDepth) return;
  const FieldDescriptor* field =
      descriptor->field(static_cast<int>(source->Below(static_cast<uint32_t>(descriptor->field_count()))));
  const auto* reflection = message->GetReflection();
  if (field->is_repeated()) return MutateList(source, depth, message, field);
  const bool of_message = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
  if (source->Below(8) == 0) return reflection->ClearField(message, field);
  if (of_message) return Mutate(source, depth + 1, reflection->MutableMessage(message, field));
  SetScalar(source, message, field);
}

}  // namespace

void MutateField(ByteSource* source, Message* message) { Mutate(source, 0, message); }

void MutateMessage(ByteSource* source, Message* message) {
  const uint32_t choice = source->Below(8);
  const uint32_t changes = choice < 5 ? 0 : choice - 4;
  for (uint32_t i = 0; i < changes; ++i) MutateField(source, message);
}

}  // namespace shoal
