// Shows what a job does, line by line.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/base/types.h"
#include "proto/scheduler.pb.h"

namespace shoal::tools {

// An event as one readable line, without its time: "round 40/510 (epoch 2.35)  loss 0.1234  ...". "" for one
// with nothing to show. `job`: with spec, and with plan once there is one.
std::string EventText(const Job& job, const JobEvent& event);

// The same with its time: "2026-01-31T12:00:00Z round 40/510 ...".
std::string LogLine(const Job& job, const JobEvent& event);

// The stalls of the job, in the words of the status.
std::vector<std::string> StallsOf(const ClusterStatus& status, JobId job);

// Shows a running job. On a terminal it rewrites one line; elsewhere it prints plain lines, one every few
// seconds. Not thread-safe.
class ProgressDisplay {
 public:
  ProgressDisplay(std::FILE* out, bool terminal) : out_(out), terminal_(terminal) {}
  // Ends the line.
  ~ProgressDisplay();

  // `job`: as for EventText. Checkpoints and windows of metrics are not shown; live progress is. Nor is a
  // failure: ShowEnd says why the job has failed.
  void OnEvent(const Job& job, const JobEvent& event);
  // To be called with the current stalls after each look. Shows a stall that persists, once: a change of its
  // numbers does not count as a new stall. One that only repeats the last message is not shown.
  void OnStalls(const std::vector<std::string>& stalls);
  void OnMessage(const std::string& text) { Line(text); }

  // Whether the reader of the output has closed the pipe.
  bool reader_gone() const;

 private:
  void Line(const std::string& text);
  void Rewrite(const std::string& text);

  std::FILE* const out_;
  const bool terminal_;
  bool open_ = false;  // the last line may be rewritten
  absl::Time printed_ = absl::InfinitePast();
  std::string message_;                    // the job's last
  std::vector<std::string> stalls_;        // of the last look, without numbers
  std::vector<std::string> shown_stalls_;  // without numbers
};

}  // namespace shoal::tools
