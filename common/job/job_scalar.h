// Scalars of a job file: conversion from text to a field of a job's message and back.
//
// Pure functions; any thread. Locale-independent.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "proto/job.pb.h"

namespace shoal {

// A scalar as written in the file.
struct ScalarText {
  std::string text;
  bool quoted = false;  // "1" in quotes is a string, not a number
};

// Sets `field` of `message` (adds to it, when it is a list) to what `scalar` says. `field` is a scalar, a
// list of scalars or an Interval. Errors: INVALID_ARGUMENT "expected ..., got ..." when the text is of
// another type; the message is unchanged. Ranges are not checked here but by FindFieldProblems.
absl::Status SetScalar(const ScalarText& scalar, google::protobuf::Message* message,
                       const google::protobuf::FieldDescriptor* field);

// The field (element `index` of a list) as written in a file, without quotes: SetScalar reads the same value
// back.
std::string FormatScalar(const google::protobuf::Message& message,
                         const google::protobuf::FieldDescriptor* field, int index = -1);

// "200 rounds", "1 round", "0.5 epochs", "1 epoch", "never".
// Errors: INVALID_ARGUMENT for a missing or unknown unit, and for a fraction of a round.
absl::StatusOr<Interval> ParseInterval(absl::string_view text);
std::string FormatInterval(const Interval& interval);

// The shortest decimal that reads back as `value`: "0.1", "1e-08".
std::string FormatDouble(double value);

// What a scalar of this field must look like, with its range: "true or false", "one of f32, bf16", "a whole
// number from 1 to 4096".
std::string ExpectedText(const google::protobuf::FieldDescriptor* field);

}  // namespace shoal
