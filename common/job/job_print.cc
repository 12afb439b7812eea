#include "common/job/job_print.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/job/job_rules.h"
#include "common/job/job_scalar.h"

namespace shoal {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

bool IsPlain(absl::string_view text) {
  if (text.empty() || absl::EqualsIgnoreCase(text, "null")) return false;
  if (!absl::ascii_isalnum(text.front()) && text.front() != '/' && text.front() != '_') return false;
  for (char c : text) {
    if (!absl::ascii_isalnum(c) && c != '/' && c != '_' && c != '.' && c != '-' && c != '+') return false;
  }
  return true;
}

std::string FormatValue(const Message& message, const FieldDescriptor* field) {
  if (field->cpp_type() != FieldDescriptor::CPPTYPE_STRING) return FormatScalar(message, field);
  if (!field->is_repeated()) return YamlString(FormatScalar(message, field));
  std::vector<std::string> elements;
  for (int i = 0; i < message.GetReflection()->FieldSize(message, field); ++i) {
    elements.push_back(YamlString(FormatScalar(message, field, i)));
  }
  return absl::StrCat("[", absl::StrJoin(elements, ", "), "]");
}

void Print(const Message& message, const std::string& indent, std::string* out) {
  const Descriptor* descriptor = message.GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    if (!IsSet(message, field)) continue;
    if (!IsGroup(field)) {
      absl::StrAppend(out, indent, field->name(), ": ", FormatValue(message, field), "\n");
      continue;
    }
    std::string group;
    Print(message.GetReflection()->GetMessage(message, field), indent + "  ", &group);
    if (!group.empty()) absl::StrAppend(out, indent, field->name(), ":\n", group);
  }
}

constexpr size_t kMaxDifferences = 10;

using Fields = std::vector<std::pair<std::string, std::string>>;  // "train.epochs", "8"

// The fields in Print's output: one line each, indented by two blanks per level.
Fields FieldsOf(absl::string_view text) {
  Fields fields;
  std::vector<absl::string_view> path;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const size_t indent = std::min(line.find_first_not_of(' '), line.size());
    path.resize(std::min(path.size(), indent / 2));
    const size_t colon = std::min(line.find(": ", indent), line.size());
    if (colon == line.size()) {  // a group
      path.push_back(absl::StripSuffix(line.substr(indent), ":"));
      continue;
    }
    path.push_back(line.substr(indent, colon - indent));
    fields.emplace_back(absl::StrJoin(path, "."), std::string(line.substr(colon + 2)));
  }
  return fields;
}

std::string ValueIn(const Fields& fields, const std::string& name) {
  for (const auto& [field, value] : fields) {
    if (field == name) return value;
  }
  return "not set";
}

}  // namespace

std::string JobDifferences(absl::string_view here, absl::string_view there) {
  const Fields ours = FieldsOf(here), theirs = FieldsOf(there);
  std::vector<std::string> names;
  for (const Fields* fields : {&ours, &theirs}) {
    for (const auto& [name, value] : *fields) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  std::vector<std::string> differences;
  for (const std::string& name : names) {
    const std::string a = ValueIn(ours, name), b = ValueIn(theirs, name);
    if (a != b) differences.push_back(absl::StrCat(name, ": ", a, " here, ", b, " there"));
  }
  if (differences.size() > kMaxDifferences) {
    const size_t more = differences.size() - kMaxDifferences;
    differences.resize(kMaxDifferences);
    differences.push_back(absl::StrCat("and ", more, " more"));
  }
  return absl::StrJoin(differences, "; ");
}

bool DifferOnlyInLength(absl::string_view here, absl::string_view there) {
  const std::string schedule = ValueIn(FieldsOf(here), "schedule.type");
  if (schedule == "linear" || schedule == "cosine") return false;
  const auto is_length = [](absl::string_view line) {
    const absl::string_view field = absl::StripLeadingAsciiWhitespace(line);
    return absl::StartsWith(field, "epochs: ") || absl::StartsWith(field, "rounds: ");
  };
  std::vector<absl::string_view> ours = absl::StrSplit(here, '\n'), theirs = absl::StrSplit(there, '\n');
  for (std::vector<absl::string_view>* lines : {&ours, &theirs})
    lines->erase(std::remove_if(lines->begin(), lines->end(), is_length), lines->end());
  return ours == theirs;
}

std::string YamlString(absl::string_view text) {
  if (IsPlain(text)) return std::string(text);
  std::string quoted = "\"";
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      absl::StrAppend(&quoted, "\\", std::string(1, c));
    } else if (byte < 0x20 || byte == 0x7F) {
      absl::StrAppendFormat(&quoted, "\\x%02x", byte);
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string NumericsText(const JobSpec& job) {
  JobSpec numerics = job;
  numerics.clear_name();
  numerics.clear_log_every();
  numerics.clear_evaluation();
  numerics.clear_checkpoint();
  numerics.clear_cluster();
  ClearUnusedLaterFields(&numerics);
  MapPaths([](const std::string& path) { return path.substr(path.find_last_of('/') + 1); }, &numerics);
  return PrintJob(numerics);
}

std::string PrintJob(const JobSpec& job) {
  std::string text;
  Print(job, "", &text);
  return text;
}

}  // namespace shoal
