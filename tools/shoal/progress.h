// What a job does, line by line, while it runs.
#pragma once

#include <cstdio>
#include <string>

#include "absl/time/time.h"
#include "proto/scheduler.pb.h"

namespace shoal {

// At a terminal one line is rewritten; elsewhere, plain lines, one every few seconds. Not thread-safe.
class ProgressDisplay {
 public:
  ProgressDisplay(std::FILE* out, bool terminal) : out_(out), terminal_(terminal) {}
  // Ends the line.
  ~ProgressDisplay();

  // `job`: with spec, and with plan once there is one.
  void OnEvent(const Job& job, const JobEvent& event);

 private:
  void Line(const std::string& text);
  void Rewrite(const std::string& text);

  std::FILE* const out_;
  const bool terminal_;
  bool open_ = false;  // a line that may be rewritten stands
  absl::Time printed_ = absl::InfinitePast();
};

}  // namespace shoal
