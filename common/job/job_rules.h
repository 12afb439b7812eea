// What proto/job.proto says about its fields, read by reflection: the one source for parsing, defaults,
// validation, printing and the reference. Works on JobSpec and on every message in it.
//
// Pure functions; any thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "proto/job.pb.h"

namespace shoal {

// One thing that is wrong with a job.
struct JobProblem {
  std::string field;     // "train.slots", "data.files[1]"; empty: the job as a whole
  std::string message;   // "expected ..., got ..."
  bool missing = false;  // the field is required and not there
};

// INVALID_ARGUMENT with one problem per line: at most ten, then how many more there are.
absl::Status ProblemsToStatus(std::vector<std::string> lines);

// The rule of a field; empty when it has none.
const FieldRule& RuleOf(const google::protobuf::FieldDescriptor* field);
const WordRule& RuleOf(const google::protobuf::EnumValueDescriptor* value);

// What a task requires of its job; empty when there is no such task.
const TaskRule& RuleOf(TaskType task);

// What models of a family are like; empty when there is no such family.
const FamilyRule& RuleOf(ModelFamily family);

// What files of a format are like; empty when there is no such format.
const FormatRule& RuleOf(DataFormat format);

// How the value is written in a job file: "inverse_sqrt", "text-classification".
std::string WordOf(const google::protobuf::EnumValueDescriptor* value);
// The same of a task; its number when there is no such task.
std::string WordOf(TaskType task);

// The value that is written `word`. Errors: INVALID_ARGUMENT with the valid words and the nearest one.
absl::StatusOr<const google::protobuf::EnumValueDescriptor*> FindWord(
    const google::protobuf::EnumDescriptor* words, absl::string_view word);

// The words of the enum that this version supports: "a, b, c".
std::string SupportedWords(const google::protobuf::EnumDescriptor* words);

// The range of a field of numbers, as messages and the reference state it: "from 1 to 4096", "above 0 and at
// most 1", "above 0", "of at least 0".
std::string RangeText(const FieldRule& rule);

// A message with fields of its own in the job file (an Interval is not: it is written as one scalar).
bool IsGroup(const google::protobuf::FieldDescriptor* field);
bool IsInterval(const google::protobuf::FieldDescriptor* field);

// Whether the field is set; for a list, whether it has elements.
bool IsSet(const google::protobuf::Message& message, const google::protobuf::FieldDescriptor* field);

// Whether the field has a meaning given the values of its siblings (FieldRule.only_with).
bool Applies(const google::protobuf::Message& message, const google::protobuf::FieldDescriptor* field);

// "train.slots" from "train" and "slots".
std::string FieldPath(absl::string_view prefix, absl::string_view name);

// Fills in every default that depends on no other group (FieldRule.default), and creates all groups except
// the optional ones. What is set stays. A default that does not apply (only_with) stays unset.
void FillDefaults(google::protobuf::Message* message);

// Clears the fields that were added later and have the value that unset has (FieldRule.added_later).
void ClearUnusedLaterFields(google::protobuf::Message* message);

// Replaces every path in the message (FieldRule.path), also in lists, by `map` of it.
void MapPaths(const std::function<std::string(const std::string&)>& map, google::protobuf::Message* message);

// Problems of single fields, in the order of the fields: a required value that is missing, a number out of
// range, an unknown or unsupported word, a field without meaning given its siblings, bytes that are not text,
// fields of a newer version. `message` may be anything, even made of random bytes.
std::vector<JobProblem> FindFieldProblems(const google::protobuf::Message& message);

}  // namespace shoal
