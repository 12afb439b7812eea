#include "common/base/flipped_bits.h"

#include <cstdint>
#include <cstring>

namespace shoal {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Flips each bit of a value that `get` and `set` reach.
template <typename T, typename Get, typename Set>
void FlipEach(Get get, Set set, absl::FunctionRef<void()> fn) {
  const T value = get();
  for (size_t bit = 0; bit < 8 * sizeof(T); ++bit) {
    T flipped = value;
    uint8_t bytes[sizeof(T)];
    std::memcpy(bytes, &flipped, sizeof(T));
    bytes[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
    std::memcpy(&flipped, bytes, sizeof(T));
    set(flipped);
    fn();
  }
  set(value);
}

void FlipField(Message* message, const FieldDescriptor* field, absl::FunctionRef<void()> fn) {
  const Reflection* reflection = message->GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
      return FlipEach<uint32_t>([&] { return reflection->GetUInt32(*message, field); },
                                [&](uint32_t value) { reflection->SetUInt32(message, field, value); }, fn);
    case FieldDescriptor::CPPTYPE_UINT64:
      return FlipEach<uint64_t>([&] { return reflection->GetUInt64(*message, field); },
                                [&](uint64_t value) { reflection->SetUInt64(message, field, value); }, fn);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return FlipEach<double>([&] { return reflection->GetDouble(*message, field); },
                              [&](double value) { reflection->SetDouble(message, field, value); }, fn);
    case FieldDescriptor::CPPTYPE_ENUM:
      return FlipEach<int>([&] { return reflection->GetEnumValue(*message, field); },
                           [&](int value) { reflection->SetEnumValue(message, field, value); }, fn);
    case FieldDescriptor::CPPTYPE_BOOL: {
      const bool value = reflection->GetBool(*message, field);
      reflection->SetBool(message, field, !value);
      fn();
      return reflection->SetBool(message, field, value);
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return ForEachFlippedBit(reflection->MutableMessage(message, field), fn);
    default:
      return;
  }
}

void FlipRepeated(Message* message, const FieldDescriptor* field, absl::FunctionRef<void()> fn) {
  const Reflection* reflection = message->GetReflection();
  if (field->cpp_type() != FieldDescriptor::CPPTYPE_DOUBLE) return;
  for (int i = 0; i < reflection->FieldSize(*message, field); ++i) {
    FlipEach<double>([&] { return reflection->GetRepeatedDouble(*message, field, i); },
                     [&](double value) { reflection->SetRepeatedDouble(message, field, i, value); }, fn);
  }
}

}  // namespace

void ForEachFlippedBit(Message* message, absl::FunctionRef<void()> fn) {
  const google::protobuf::Descriptor* descriptor = message->GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    field->is_repeated() ? FlipRepeated(message, field, fn) : FlipField(message, field, fn);
  }
}

}  // namespace shoal
