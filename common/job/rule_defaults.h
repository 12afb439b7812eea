// Defaults that a job's task, data format or family makes (FieldRule.default_of): the one source for
// CompleteJob and for the reference.
//
// Pure functions; any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "proto/job.pb.h"

namespace shoal {

// Rules that one field of a job chooses among: each of its words has one.
struct RuleKind {
  absl::string_view name;  // the option with the rule: "family_rule"
  absl::string_view
      noun;  // said before a word: "family", as in "family gpt2"; empty: the word alone is clear
  const google::protobuf::EnumDescriptor* words;
  // The rule of a word, by its number; the empty rule when there is no such word. Lives forever.
  const google::protobuf::Message& (*rule_of)(int word);
  int (*chosen)(const JobSpec& job);  // the number of the job's word
};

// A kind comes after those whose rules may choose its word: a task has a default family.
absl::Span<const RuleKind> RuleKinds();

// Where the default of a field comes from.
struct DefaultSource {
  const RuleKind* kind;
  const google::protobuf::FieldDescriptor* field;  // of the kind's rules
};

// FieldRule.default_of of `field`, resolved; nullopt when it has none.
std::optional<DefaultSource> DefaultSourceOf(const google::protobuf::FieldDescriptor* field);

// What a rule has in `field`, each value as it is written in a job file; empty when it has nothing there.
std::vector<std::string> ValuesIn(const google::protobuf::Message& rule,
                                  const google::protobuf::FieldDescriptor* field);

// Fills in the defaults that depend on the job's task, data format and family. What is set stays. Groups that
// are unset stay so.
void FillRuleDefaults(JobSpec* job);

}  // namespace shoal
