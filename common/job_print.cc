#include "common/job_print.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/job_rules.h"
#include "common/job_scalar.h"

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

}  // namespace

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
  MapPaths([](const std::string& path) { return path.substr(path.find_last_of('/') + 1); }, &numerics);
  return PrintJob(numerics);
}

std::string PrintJob(const JobSpec& job) {
  std::string text;
  Print(job, "", &text);
  return text;
}

}  // namespace shoal
