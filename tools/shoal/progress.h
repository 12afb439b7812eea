// What a job does, line by line.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "proto/scheduler.pb.h"

namespace shoal {

// An event as people read it, without its time: "round 40/510 (epoch 2.35)  loss 0.1234  ...". "" for one
// that says nothing. `job`: with spec, and with plan once there is one.
std::string EventText(const Job& job, const JobEvent& event);

// Shows a running job. At a terminal one line is rewritten; elsewhere, plain lines, one every few seconds.
// Not thread-safe.
class ProgressDisplay {
 public:
  ProgressDisplay(std::FILE* out, bool terminal) : out_(out), terminal_(terminal) {}
  // Ends the line.
  ~ProgressDisplay();

  // `job`: as of EventText. Checkpoints, and windows of metrics beside live progress, are not shown.
  void OnEvent(const Job& job, const JobEvent& event);
  // What stalls, as often as one looks. Shows what holds on, once: numbers in it don't count as news.
  void OnStalls(const std::vector<std::string>& stalls);
  void OnMessage(const std::string& text) { Line(text); }

  // Nobody reads it any more: the other end of a pipe is gone.
  bool reader_gone() const;

 private:
  void Line(const std::string& text);
  void Rewrite(const std::string& text);

  std::FILE* const out_;
  const bool terminal_;
  bool open_ = false;  // a line that may be rewritten stands
  absl::Time printed_ = absl::InfinitePast();
  std::vector<std::string> stalls_;        // of the last look, without numbers
  std::vector<std::string> shown_stalls_;  // without numbers
};

}  // namespace shoal
