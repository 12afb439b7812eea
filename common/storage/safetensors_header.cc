#include "common/storage/safetensors_header.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <tuple>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "nlohmann/json.hpp"

namespace shoal {
namespace {

using nlohmann::json;

constexpr char kMetadataName[] = "__metadata__";
constexpr char kNotAName[] = "not a valid tensor name";
// header > tensor > shape > number.
constexpr int kMaxDepth = 3;

struct TypeInfo {
  SafetensorsType type;
  absl::string_view name;
  uint64_t bytes;
};

constexpr TypeInfo kTypes[] = {
    {SafetensorsType::kBool, "BOOL", 1}, {SafetensorsType::kU8, "U8", 1},   {SafetensorsType::kI8, "I8", 1},
    {SafetensorsType::kU16, "U16", 2},   {SafetensorsType::kI16, "I16", 2}, {SafetensorsType::kF16, "F16", 2},
    {SafetensorsType::kBf16, "BF16", 2}, {SafetensorsType::kU32, "U32", 4}, {SafetensorsType::kI32, "I32", 4},
    {SafetensorsType::kF32, "F32", 4},   {SafetensorsType::kU64, "U64", 8}, {SafetensorsType::kI64, "I64", 8},
    {SafetensorsType::kF64, "F64", 8}};

const TypeInfo& InfoOf(SafetensorsType type) {
  const auto* info = std::find_if(std::begin(kTypes), std::end(kTypes),
                                  [type](const TypeInfo& candidate) { return candidate.type == type; });
  SHOAL_CHECK(info != std::end(kTypes));
  return *info;
}

absl::Status Malformed(absl::string_view name, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat("tensor '", name, "': ", problem));
}

absl::StatusOr<std::vector<uint64_t>> ParseNumbers(const json& tensor, const std::string& name,
                                                   const char* field) {
  const auto it = tensor.find(field);
  if (it == tensor.end() || !it->is_array()) {
    return Malformed(name, absl::StrCat(field, " is missing or not a list"));
  }
  std::vector<uint64_t> numbers;
  for (const json& number : *it) {
    if (!number.is_number_unsigned()) {
      return Malformed(name, absl::StrCat(field, " holds something other than whole numbers"));
    }
    numbers.push_back(number.get<uint64_t>());
  }
  return numbers;
}

absl::StatusOr<SafetensorsType> ParseType(const json& tensor, const std::string& name) {
  const auto it = tensor.find("dtype");
  if (it == tensor.end() || !it->is_string()) return Malformed(name, "dtype is missing or not a string");
  const auto& text = it->get_ref<const std::string&>();
  for (const TypeInfo& info : kTypes) {
    if (info.name == text) return info.type;
  }
  return Malformed(name, absl::StrCat("dtype '", text, "' is not supported"));
}

// Whether the tensor's size fits 64 bits.
bool SizeFits(const SafetensorsEntry& entry) {
  unsigned __int128 size = SafetensorsTypeBytes(entry.type);
  // Zeros first: {2^40, 2^40, 0} is an empty tensor.
  if (std::count(entry.shape.begin(), entry.shape.end(), 0) > 0) return true;
  for (uint64_t dimension : entry.shape) {
    size *= dimension;
    if (size > std::numeric_limits<uint64_t>::max()) return false;
  }
  return true;
}

absl::StatusOr<SafetensorsEntry> ParseEntry(const std::string& name, const json& tensor) {
  if (name.empty()) return Malformed(name, kNotAName);
  if (!tensor.is_object()) return Malformed(name, "not an object");
  SafetensorsEntry entry;
  entry.name = name;
  SHOAL_ASSIGN_OR_RETURN(entry.type, ParseType(tensor, name));
  SHOAL_ASSIGN_OR_RETURN(entry.shape, ParseNumbers(tensor, name, "shape"));
  SHOAL_ASSIGN_OR_RETURN(const std::vector<uint64_t> range, ParseNumbers(tensor, name, "data_offsets"));
  if (range.size() != 2 || range[0] > range[1]) {
    return Malformed(name, "data_offsets are not two numbers in order");
  }
  if (!SizeFits(entry) || entry.size_bytes() != range[1] - range[0]) {
    return Malformed(name, absl::StrCat("data_offsets span ", range[1] - range[0],
                                        " bytes, which does not match dtype and shape"));
  }
  entry.offset = range[0];
  return entry;
}

absl::StatusOr<SafetensorsMetadata> ParseMetadata(const json& value) {
  const absl::Status malformed = absl::InvalidArgumentError("__metadata__ is not an object of strings");
  if (!value.is_object()) return malformed;
  SafetensorsMetadata metadata;
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) return malformed;
    metadata[key] = text.get<std::string>();
  }
  return metadata;
}

// Errors: INVALID_ARGUMENT also for what JSON allows but a header can't have: duplicate names, deep nesting.
absl::StatusOr<json> ParseJson(absl::string_view text) {
  absl::flat_hash_set<std::string> names;
  std::string problem;
  const json::parser_callback_t check = [&](int depth, json::parse_event_t event, json& value) {
    const bool begins =
        event == json::parse_event_t::object_start || event == json::parse_event_t::array_start;
    if (begins && depth >= kMaxDepth) {
      problem = "nested too deeply";
      return false;
    }
    if (event == json::parse_event_t::key && depth == 1 && !names.insert(value.get<std::string>()).second) {
      problem = absl::StrCat("'", value.get<std::string>(), "' occurs twice");
    }
    return true;
  };
  json header = json::parse(text.begin(), text.end(), check, /*allow_exceptions=*/false);
  if (problem.empty() && !header.is_object()) problem = "not a JSON object";
  if (!problem.empty()) return absl::InvalidArgumentError(absl::StrCat("header: ", problem));
  return header;
}

// Errors: INVALID_ARGUMENT unless the tensors, in order, fill [0, data_bytes).
absl::Status CheckLayout(const std::vector<SafetensorsEntry>& entries, uint64_t data_bytes) {
  uint64_t next = 0;
  for (const SafetensorsEntry& entry : entries) {
    if (entry.offset != next) {
      return Malformed(entry.name, absl::StrCat("starts at byte ", entry.offset, " of the data, ",
                                                entry.offset < next ? "inside" : "after a gap following",
                                                " the previous tensor, which ends at ", next));
    }
    next += entry.size_bytes();
    if (next > data_bytes) {
      return Malformed(entry.name,
                       absl::StrCat("ends at byte ", next, " of the data, which has ", data_bytes));
    }
  }
  if (next == data_bytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("tensors end at byte ", next, " of the data, which has ", data_bytes));
}

absl::Status CheckNames(const SafetensorsHeader& header) {
  absl::flat_hash_set<absl::string_view> names;
  for (const SafetensorsEntry& entry : header.entries) {
    if (entry.name.empty() || entry.name == kMetadataName) return Malformed(entry.name, kNotAName);
    if (!IsValidUtf8(entry.name)) return Malformed(entry.name, "the name is not UTF-8");
    if (!names.insert(entry.name).second) return Malformed(entry.name, "occurs twice");
  }
  for (const auto& [key, value] : header.metadata) {
    if (!IsValidUtf8(key) || !IsValidUtf8(value)) {
      return absl::InvalidArgumentError(absl::StrCat("metadata '", key, "' is not UTF-8"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::string_view SafetensorsTypeName(SafetensorsType type) { return InfoOf(type).name; }

uint64_t SafetensorsTypeBytes(SafetensorsType type) { return InfoOf(type).bytes; }

absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(absl::string_view text, uint64_t data_bytes) {
  SHOAL_ASSIGN_OR_RETURN(const json parsed, ParseJson(text));
  SafetensorsHeader header;
  for (const auto& [name, value] : parsed.items()) {
    if (name == kMetadataName) {
      SHOAL_ASSIGN_OR_RETURN(header.metadata, ParseMetadata(value));
      continue;
    }
    SHOAL_ASSIGN_OR_RETURN(SafetensorsEntry entry, ParseEntry(name, value));
    header.entries.push_back(std::move(entry));
  }
  // An empty tensor comes before the one that starts at the same place.
  std::sort(header.entries.begin(), header.entries.end(),
            [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
              return std::make_tuple(a.offset, a.size_bytes()) < std::make_tuple(b.offset, b.size_bytes());
            });
  SHOAL_RETURN_IF_ERROR(CheckLayout(header.entries, data_bytes));
  return header;
}

absl::StatusOr<std::string> FormatSafetensorsHeader(const SafetensorsHeader& header) {
  SHOAL_RETURN_IF_ERROR(CheckNames(header));
  nlohmann::ordered_json tensors = nlohmann::ordered_json::object();
  if (!header.metadata.empty()) tensors[kMetadataName] = header.metadata;
  uint64_t offset = 0;
  for (const SafetensorsEntry& entry : header.entries) {
    const uint64_t end = offset + entry.size_bytes();
    tensors[entry.name] = {{"dtype", std::string(SafetensorsTypeName(entry.type))},
                           {"shape", entry.shape},
                           {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = tensors.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  if (text.size() > kMaxSafetensorsHeaderBytes) {
    return absl::InvalidArgumentError(absl::StrCat("a header of ", text.size(), " bytes is too long"));
  }
  const uint64_t length = text.size();
  std::string start(sizeof(length), '\0');
  std::memcpy(start.data(), &length, sizeof(length));
  return start + text;
}

}  // namespace shoal
