// Reads one YAML mapping, or one --set assignment, into a message by its descriptor. Used only by
// common/job/job_yaml.cc.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/job/job_rules.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace YAML {
class Node;
}

namespace shoal {

// A problem with its place, "job.yaml:7" or "--set train.slots=x".
struct PlacedProblem {
  int order = 0;  // in the file, then in the assignments
  std::string place;
  JobProblem problem;
};

// Reads into one job. Remembers where each field came from, so that problems found later can name the place.
class JobReader {
 public:
  // `name` and `job` are used as long as the reader lives.
  JobReader(std::string name, google::protobuf::Message* job) : name_(std::move(name)), job_(job) {}

  // Reads a whole file. Problems are collected; what can be read is read.
  void ReadText(const std::string& yaml);

  // Reads "key.path=value".
  void ReadAssignment(const std::string& assignment);

  // Adds a problem of the read job, placed at the line of its field, or of the nearest given group around it.
  void AddProblem(const JobProblem& problem);

  bool ok() const { return problems_.empty(); }

  // In the order of the file.
  std::vector<PlacedProblem> Problems() const;

 private:
  struct Place {
    int order = 0;
    std::string text;
  };

  void ReadGroup(const YAML::Node& node, const std::string& path, google::protobuf::Message* message);
  void ReadEntry(const YAML::Node& key, const YAML::Node& value, const std::string& path,
                 std::map<std::string, int>* seen, google::protobuf::Message* message);
  void ReadField(const YAML::Node& node, const std::string& path,
                 const google::protobuf::FieldDescriptor* field, google::protobuf::Message* message);
  void ReadList(const YAML::Node& node, const std::string& path,
                const google::protobuf::FieldDescriptor* field, google::protobuf::Message* message);
  bool ReadScalar(const YAML::Node& node, const std::string& path,
                  const google::protobuf::FieldDescriptor* field, google::protobuf::Message* message);
  const google::protobuf::FieldDescriptor* FindField(const std::string& name, const std::string& path,
                                                     const google::protobuf::Descriptor* group,
                                                     const Place& place);
  Place PlaceOf(const YAML::Node& node) const;
  void Add(const Place& place, const std::string& field, std::string message);

  std::string name_;
  google::protobuf::Message* job_;
  std::string assignment_;               // being read; empty: the file is
  int assignments_ = 0;                  // read so far
  std::map<std::string, Place> places_;  // of each field that was given
  std::vector<PlacedProblem> problems_;
};

}  // namespace shoal
