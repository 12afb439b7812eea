#include "common/job/job_reader.h"

#include <algorithm>
#include <exception>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/nearest_name.h"
#include "common/base/utf8.h"
#include "common/job/job_document.h"
#include "common/job/job_scalar.h"

namespace shoal {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::OneofDescriptor;

// A job file is a page of text; a far larger file was given by mistake.
constexpr size_t kMaxYamlBytes = 1 << 20;
// The order of the first assignment: after every line of the file.
constexpr int kFirstAssignmentOrder = std::numeric_limits<int>::max() / 2;

std::vector<std::string> FieldNames(const Descriptor* group) {
  std::vector<std::string> names;
  for (int i = 0; i < group->field_count(); ++i) names.push_back(group->field(i)->name());
  return names;
}

// The path of the field of this name in `group` or in a group inside it; "" when there is none.
std::string FindElsewhere(absl::string_view name, const Descriptor* group, const std::string& prefix) {
  for (int i = 0; i < group->field_count(); ++i) {
    const FieldDescriptor* field = group->field(i);
    const std::string path = FieldPath(prefix, field->name());
    if (field->name() == name) return path;
    const std::string inside = IsGroup(field) ? FindElsewhere(name, field->message_type(), path) : "";
    if (!inside.empty()) return inside;
  }
  return "";
}

std::string KindOf(const YAML::Node& node) {
  if (node.IsMap()) return "a mapping";
  if (node.IsSequence()) return "a list";
  if (!node.IsScalar()) return "nothing";
  return absl::StrCat("'", ToQuoted(node.Scalar()), "'");
}

// yaml-cpp tags plain scalars and collections "?" (or nothing), quoted scalars "!"; any other tag was written
// in the file.
bool HasOwnTag(const YAML::Node& node) {
  return !node.Tag().empty() && node.Tag() != "?" && node.Tag() != "!";
}

// Another field of the same real oneof that is already set; null when there is none.
const FieldDescriptor* RivalOf(const Message& message, const FieldDescriptor* field) {
  const OneofDescriptor* oneof = field->real_containing_oneof();
  if (oneof == nullptr) return nullptr;
  const FieldDescriptor* rival = message.GetReflection()->GetOneofFieldDescriptor(message, oneof);
  return rival == field ? nullptr : rival;
}

// Why the text can't be passed to the YAML library; "" when it can.
std::string TextProblem(absl::string_view yaml) {
  if (yaml.size() > kMaxYamlBytes) {
    return absl::StrCat("expected a job file of at most ", kMaxYamlBytes, " bytes, got ", yaml.size());
  }
  if (!IsValidUtf8(yaml) || absl::StrContains(yaml, absl::string_view("\0", 1)))
    return "expected text in UTF-8";
  return "";
}

// The first line that is indented with a tab, counted from 1; 0 when there is none.
int TabbedLine(absl::string_view yaml) {
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(yaml, '\n')) {
    ++number;
    if (absl::StrContains(line.substr(0, line.find_first_not_of(" \t")), '\t')) return number;
  }
  return 0;
}

}  // namespace

void JobReader::ReadText(const std::string& yaml) {
  const Place whole = {0, name_};
  if (const std::string problem = TextProblem(yaml); !problem.empty()) return Add(whole, "", problem);
  try {
    const YAML::Node document = LoadDocument(yaml);
    if (document.IsNull()) return Add(whole, "", "is empty; expected fields of a job (docs/job-file.md)");
    ReadGroup(document, "", job_);
  } catch (const YAML::Exception& error) {
    if (const int line = TabbedLine(yaml); line > 0) {
      return Add({line, absl::StrCat(name_, ":", line)}, "",
                 "is not valid YAML: the line is indented with a tab; use spaces");
    }
    const Place place = error.mark.is_null()
                            ? whole
                            : Place{error.mark.line + 1, absl::StrCat(name_, ":", error.mark.line + 1)};
    Add(place, "", absl::StrCat("is not valid YAML: ", error.msg));
  } catch (const std::exception& error) {
    Add(whole, "", absl::StrCat("can't be read as YAML: ", error.what()));
  }
}

void JobReader::ReadAssignment(const std::string& assignment) {
  ++assignments_;
  assignment_ = absl::StrCat("--set ", ToQuoted(assignment));
  const Place place = PlaceOf(YAML::Node());
  const size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0) return Add(place, "", "expected key.path=value");
  if (const std::string problem = TextProblem(assignment); !problem.empty()) return Add(place, "", problem);
  Message* group = job_;
  const FieldDescriptor* field = nullptr;
  std::string path;
  for (const std::string& name :
       std::vector<std::string>(absl::StrSplit(assignment.substr(0, equals), '.'))) {
    if (field != nullptr && !IsGroup(field)) return Add(place, path, "has no fields inside");
    if (field != nullptr) group = group->GetReflection()->MutableMessage(group, field);
    field = FindField(name, path, group->GetDescriptor(), place);
    if (field == nullptr) return;
    path = FieldPath(path, name);
  }
  try {
    ReadField(LoadDocument(assignment.substr(equals + 1)), path, field, group);
  } catch (const std::exception& error) {
    Add(place, path, absl::StrCat("the value is not valid YAML: ", error.what()));
  }
  assignment_.clear();
}

void JobReader::ReadGroup(const YAML::Node& node, const std::string& path, Message* message) {
  if (!node.IsMap() || HasOwnTag(node)) {
    return Add(PlaceOf(node), path,
               absl::StrCat("expected fields, one 'name: value' per line, got ", KindOf(node)));
  }
  std::map<std::string, int> seen;
  for (const auto& entry : node) ReadEntry(entry.first, entry.second, path, &seen, message);
}

void JobReader::ReadEntry(const YAML::Node& key, const YAML::Node& value, const std::string& path,
                          std::map<std::string, int>* seen, Message* message) {
  const Place place = PlaceOf(key);
  if (!key.IsScalar())
    return Add(place, path, absl::StrCat("expected the name of a field, got ", KindOf(key)));
  const std::string& name = key.Scalar();
  const std::string field_path = FieldPath(path, name);
  const auto [first, is_new] = seen->emplace(name, key.Mark().line + 1);
  if (!is_new) return Add(place, field_path, absl::StrCat("is given twice, first on line ", first->second));
  const FieldDescriptor* field = FindField(name, path, message->GetDescriptor(), place);
  if (field == nullptr) return;
  const FieldDescriptor* rival = RivalOf(*message, field);
  if (rival != nullptr && assignment_.empty()) {
    return Add(place, field_path,
               absl::StrCat("can't be combined with '", rival->name(), "': use one of them"));
  }
  places_[field_path] = place;
  ReadField(value, field_path, field, message);
}

const FieldDescriptor* JobReader::FindField(const std::string& name, const std::string& path,
                                            const Descriptor* group, const Place& place) {
  const FieldDescriptor* field = group->FindFieldByName(name);
  if (field != nullptr) return field;
  const std::vector<std::string> names = FieldNames(group);
  std::string hint = DidYouMean(name, names);
  const std::string elsewhere = FindElsewhere(name, job_->GetDescriptor(), "");
  if (!elsewhere.empty()) hint = absl::StrCat("; did you mean '", elsewhere, "'?");
  if (hint.empty()) hint = absl::StrCat("; expected one of ", absl::StrJoin(names, ", "));
  Add(place, FieldPath(path, ToQuoted(name)), absl::StrCat("unknown field", hint));
  return nullptr;
}

void JobReader::ReadField(const YAML::Node& node, const std::string& path, const FieldDescriptor* field,
                          Message* message) {
  if (!assignment_.empty()) places_[path] = PlaceOf(node);
  if (node.IsNull() || !node.IsDefined()) {
    return Add(places_[path], path, "has no value; to get the default, leave the field out");
  }
  if (IsGroup(field)) return ReadGroup(node, path, message->GetReflection()->MutableMessage(message, field));
  if (field->is_repeated()) return ReadList(node, path, field, message);
  ReadScalar(node, path, field, message);
}

void JobReader::ReadList(const YAML::Node& node, const std::string& path, const FieldDescriptor* field,
                         Message* message) {
  message->GetReflection()->ClearField(message, field);
  if (!node.IsSequence()) {
    ReadScalar(node, path, field, message);  // a list of one, without brackets
    return;
  }
  int index = 0;
  for (const YAML::Node& element : node) {
    const std::string element_path = absl::StrCat(path, "[", index++, "]");
    places_[element_path] = PlaceOf(element);
    if (!ReadScalar(element, element_path, field, message)) return;
  }
}

bool JobReader::ReadScalar(const YAML::Node& node, const std::string& path, const FieldDescriptor* field,
                           Message* message) {
  const Place place = PlaceOf(node);
  if (!node.IsScalar()) {
    Add(place, path, absl::StrCat("expected ", ExpectedText(field), ", got ", KindOf(node)));
    return false;
  }
  if (HasOwnTag(node)) {
    Add(place, path,
        absl::StrCat("has the YAML tag ", ToQuoted(node.Tag()), "; expected a value without a tag"));
    return false;
  }
  const absl::Status status = SetScalar({node.Scalar(), node.Tag() == "!"}, message, field);
  if (!status.ok()) Add(place, path, std::string(status.message()));
  return status.ok();
}

JobReader::Place JobReader::PlaceOf(const YAML::Node& node) const {
  if (!assignment_.empty()) return {kFirstAssignmentOrder + assignments_, assignment_};
  const int line = node.Mark().line + 1;
  return {line, absl::StrCat(name_, ":", line)};
}

void JobReader::Add(const Place& place, const std::string& field, std::string message) {
  problems_.push_back({place.order, place.text, {field, std::move(message), false}});
}

void JobReader::AddProblem(const JobProblem& problem) {
  for (std::string path = problem.field; !path.empty();) {
    const auto found = places_.find(path);
    if (found != places_.end()) return Add(found->second, problem.field, problem.message);
    const size_t end = path.find_last_of(".[");
    path.resize(end == std::string::npos ? 0 : end);
  }
  Add({0, name_}, problem.field, problem.message);
}

std::vector<PlacedProblem> JobReader::Problems() const {
  std::vector<PlacedProblem> sorted = problems_;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const PlacedProblem& a, const PlacedProblem& b) { return a.order < b.order; });
  return sorted;
}

}  // namespace shoal
