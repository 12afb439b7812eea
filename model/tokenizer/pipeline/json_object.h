// Reads the objects of tokenizer.json: every error names the path inside the file, and every field that
// nobody asked for is an error.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/base/status.h"
#include "nlohmann/json.hpp"

namespace shoal::model::pipeline {

using Json = nlohmann::json;

// A value and where it is, such as "normalizer.normalizers[1]". The value must outlive this.
struct JsonPlace {
  const Json* value = nullptr;
  std::string path;
  int depth = 0;  // of components inside components
};

// INVALID_ARGUMENT "PATH WHAT". `what` says what is there and what was expected.
absl::Status InvalidAt(absl::string_view path, absl::string_view what);

// `value` as a message quotes it: shortened, without control characters.
std::string Quoted(const Json& value);

// The fields of one object. The first error is kept and returned by Finish(); after it (and for a value that
// is not an object) every getter returns its default. One thread.
class JsonObject {
 public:
  explicit JsonObject(JsonPlace place);

  const std::string& path() const { return place_.path; }
  int depth() const { return place_.depth; }
  std::string PathOf(absl::string_view name) const;

  // Whether the field is there and not null.
  bool Has(const char* name);

  // The field's value, which must be of this type; `otherwise` when it is missing or null.
  std::string String(const char* name, absl::string_view otherwise = "");
  bool Bool(const char* name, bool otherwise);
  uint32_t Integer(const char* name, uint32_t otherwise);  // 0 to 2^32 - 1
  // The field's value, which must be there.
  std::string RequiredString(const char* name);
  uint32_t RequiredInteger(const char* name);
  JsonPlace Required(const char* name);
  // The elements of an array; none when the field is missing or null.
  std::vector<JsonPlace> Array(const char* name);

  // Marks a field as known.
  void Ignore(const char* name) { Find(name); }
  // Keeps the error "PATH.NAME is VALUE, WHAT" unless there is one already.
  void Reject(const char* name, absl::string_view what);
  void Keep(const absl::Status& status);

  // The first error, or one for a field that was not read.
  absl::Status Finish();

 private:
  const Json* Find(const char* name);  // nullptr when missing or null
  JsonPlace Place(const char* name, const Json* value) const;

  JsonPlace place_;
  absl::Status status_;
  std::vector<std::string> known_;
};

// A kind of component: its "type" in the file, and what reads the other fields. After `parse` returned, every
// field that it did not read is an error.
template <typename Component>
struct ComponentKind {
  const char* type;
  absl::StatusOr<std::unique_ptr<Component>> (*parse)(JsonObject* fields);
};

// How deep components (sequences) may be nested.
inline constexpr int kMaxDepth = 8;

absl::Status UnsupportedType(const JsonObject& object, absl::string_view type,
                             absl::Span<const char* const> known);

// Reads a component of one of `kinds`.
template <typename Component>
absl::StatusOr<std::unique_ptr<Component>> ParseComponent(const JsonPlace& place,
                                                          absl::Span<const ComponentKind<Component>> kinds) {
  if (place.depth > kMaxDepth) return InvalidAt(place.path, "is nested too deeply, which is not supported");
  JsonObject object(place);
  const std::string type = object.RequiredString("type");
  std::vector<const char*> known;
  for (const auto& kind : kinds) {
    known.push_back(kind.type);
    if (type != kind.type) continue;
    SHOAL_ASSIGN_OR_RETURN(auto result, kind.parse(&object));
    SHOAL_RETURN_IF_ERROR(object.Finish());
    return result;
  }
  return UnsupportedType(object, type, known);
}

}  // namespace shoal::model::pipeline
