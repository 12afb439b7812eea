#include "model/tokenizer/pipeline/json_object.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "common/base/nearest_name.h"
#include "common/base/utf8.h"

namespace shoal::model::pipeline {

absl::Status InvalidAt(absl::string_view path, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(path.empty() ? "the file" : ToQuoted(path), " ", what));
}

std::string Quoted(const Json& value) {
  if (value.is_string()) return absl::StrCat("'", ToQuoted(value.get_ref<const std::string&>()), "'");
  if (value.is_object()) return "an object";
  if (value.is_array()) return "an array";
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

JsonObject::JsonObject(JsonPlace place) : place_(std::move(place)) {
  if (place_.value->is_object()) return;
  status_ = InvalidAt(path(), absl::StrCat("is ", Quoted(*place_.value), ", expected an object"));
}

std::string JsonObject::PathOf(absl::string_view name) const {
  return path().empty() ? std::string(name) : absl::StrCat(path(), ".", name);
}

const Json* JsonObject::Find(const char* name) {
  known_.push_back(name);
  if (!place_.value->is_object()) return nullptr;
  const auto it = place_.value->find(name);
  return it == place_.value->end() || it->is_null() ? nullptr : &*it;
}

JsonPlace JsonObject::Place(const char* name, const Json* value) const {
  return {value, PathOf(name), place_.depth + 1};
}

bool JsonObject::Has(const char* name) { return Find(name) != nullptr; }

void JsonObject::Keep(const absl::Status& status) {
  if (status_.ok()) status_ = status;
}

void JsonObject::Reject(const char* name, absl::string_view what) {
  const Json* const value = Find(name);
  const std::string got = value == nullptr ? "missing" : Quoted(*value);
  Keep(InvalidAt(PathOf(name), absl::StrCat("is ", got, ", ", what)));
}

std::string JsonObject::String(const char* name, absl::string_view otherwise) {
  const Json* const value = Find(name);
  if (value != nullptr && value->is_string()) return value->get<std::string>();
  if (value != nullptr) Reject(name, "expected a string");
  return std::string(otherwise);
}

bool JsonObject::Bool(const char* name, bool otherwise) {
  const Json* const value = Find(name);
  if (value != nullptr && value->is_boolean()) return value->get<bool>();
  if (value != nullptr) Reject(name, "expected true or false");
  return otherwise;
}

uint32_t JsonObject::Integer(const char* name, uint32_t otherwise) {
  const Json* const value = Find(name);
  if (value == nullptr) return otherwise;
  if (value->is_number_unsigned() && value->get<uint64_t>() <= std::numeric_limits<uint32_t>::max()) {
    return value->get<uint32_t>();
  }
  Reject(name, "expected an integer from 0 to 2^32 - 1");
  return otherwise;
}

std::string JsonObject::RequiredString(const char* name) {
  if (!Has(name)) Reject(name, "expected a string");
  return String(name);
}

uint32_t JsonObject::RequiredInteger(const char* name) {
  if (!Has(name)) Reject(name, "expected an integer");
  return Integer(name, 0);
}

JsonPlace JsonObject::Required(const char* name) {
  static const Json* const null = new Json();
  const Json* const value = Find(name);
  if (value == nullptr) Reject(name, "expected a value");
  return Place(name, value == nullptr ? null : value);
}

std::vector<JsonPlace> JsonObject::Array(const char* name) {
  std::vector<JsonPlace> elements;
  const Json* const value = Find(name);
  if (value == nullptr) return elements;
  if (!value->is_array()) {
    Reject(name, "expected an array");
    return elements;
  }
  for (const Json& element : *value) {
    elements.push_back({&element, absl::StrCat(PathOf(name), "[", elements.size(), "]"), depth() + 1});
  }
  return elements;
}

absl::Status JsonObject::Finish() {
  if (!status_.ok()) return status_;
  for (const auto& [name, value] : place_.value->items()) {
    if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
    return InvalidAt(PathOf(name), absl::StrCat("is ", Quoted(value), ", which is not supported",
                                                DidYouMean(name, known_)));
  }
  return absl::OkStatus();
}

absl::Status UnsupportedType(const JsonObject& object, absl::string_view type,
                             absl::Span<const char* const> known) {
  // The error that the value is not an object or has no type.
  if (const absl::Status status = JsonObject(object).Finish(); type.empty() && !status.ok()) return status;
  return InvalidAt(object.PathOf("type"),
                   absl::StrCat("is '", ToQuoted(type), "', which is not supported; expected ",
                                absl::StrJoin(known, ", ")));
}

}  // namespace shoal::model::pipeline
