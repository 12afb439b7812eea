#include "tools/shoal/progress.h"

#include <cstdlib>
#include <string>

#include "catch2/catch.hpp"

namespace shoal::tools {
namespace {

// A display that is not a terminal, and what it has printed.
class Printer {
 public:
  ~Printer() {
    std::fclose(out_);
    std::free(text_);
  }
  ProgressDisplay& display() { return display_; }
  std::string text() {
    std::fflush(out_);
    return std::string(text_, size_);
  }

 private:
  char* text_ = nullptr;
  size_t size_ = 0;
  std::FILE* const out_ = open_memstream(&text_, &size_);
  ProgressDisplay display_{out_, /*terminal=*/false};
};

JobEvent StateEvent(JobState state, const std::string& reason) {
  JobEvent event;
  event.mutable_state()->set_state(state);
  event.mutable_state()->set_reason(reason);
  return event;
}

TEST_CASE("Why a job has failed is left to the end of the command, which says it once") {
  Printer printer;
  printer.display().OnEvent(Job(), StateEvent(JOB_STATE_QUEUED, "waits for its turn"));
  printer.display().OnEvent(Job(), StateEvent(JOB_STATE_FAILED, "data.tsv: no column"));
  CHECK(printer.text() == "job is queued: waits for its turn\n");
}

TEST_CASE("A stall is shown when it persists, but not when it repeats the last message") {
  Printer printer;
  JobEvent refused;
  refused.set_message("worker-1 can't take part: no memory");
  printer.display().OnEvent(Job(), refused);
  const std::string repeated = "job 1: waits for a worker; worker-1 can't take part: no memory";
  const std::string silent = "job 1, round 3: slots [0,4) of worker-2, silent for 2.1 s";
  for (int look = 0; look < 3; ++look) printer.display().OnStalls({repeated, silent});
  CHECK(printer.text() == refused.message() + "\n" + silent + "\n");
}

}  // namespace
}  // namespace shoal::tools
