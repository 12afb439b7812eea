// metrics.jsonl of a local training, across all runs of its command.
#pragma once

#include <cstdint>
#include <fstream>
#include <memory>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "common/storage/file.h"
#include "nlohmann/json.hpp"

namespace shoal::tools {

inline constexpr char kMetricsFile[] = "metrics.jsonl";

// Lines as MetricsLine (tools/shoal/report.h) makes them. Not thread-safe.
class MetricsFile {
 public:
  // For a job whose history begins at version `origin` and is replayed completely: existing lines of rounds
  // up to `origin`, which no scheduler will report again, stay. The others are dropped: they will be reported
  // again, or their rounds will be run again. Errors: UNAVAILABLE that names the file when it can't be
  // written; those of the Env.
  static absl::StatusOr<std::unique_ptr<MetricsFile>> Open(Env* env, const std::string& path,
                                                           uint64_t origin);

  // Skipped when an earlier run has written a line of the same rounds.
  void Add(const nlohmann::json& line);

  // UNAVAILABLE when a line could not be written.
  absl::Status status() const;

 private:
  explicit MetricsFile(std::string path) : path_(std::move(path)) {}

  const std::string path_;
  std::set<std::string> kept_;  // the subjects of the kept lines
  std::ofstream out_;
};

}  // namespace shoal::tools
