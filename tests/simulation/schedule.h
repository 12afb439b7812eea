// What a simulated cluster goes through: everything that happens to it is a function of a Schedule.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace shoal::simulation {

// Something bad that happens once. Times are simulated.
//
//   kill WHO        the process dies at once; a new one replaces it after `length_ms` (0: never)
//   power WHO       its machine loses power: as kill, and data that was not synced may be lost
//   crash WHO       like power, right after the process's next `number` actions
//   freeze WHO      SIGSTOP for `length_ms`
//   hang WHO OTHER  only the executor OTHER hangs: runner, updates, files, restores, timers, ...
//   cut WHO OTHER   no messages between the two, in either direction
//   cut1 WHO OTHER  no messages from WHO to OTHER
//   stray WHO       cut off from the scheduler, and from any that takes its place, in both directions
//   island WHO      worker or server: cut off from all nodes of the other role, but not from the scheduler
//   full WHO        its disk is full
//   broken WHO      its disk returns I/O errors
//   unmount WHO     the storage of checkpoints is not mounted: its folder is empty
//   flip, tear, swap, lose
//                   damages a file of a committed checkpoint, chosen by `number`: flips a bit, cuts off its
//                   end, swaps it with another file, deletes it
//   leave WHO       SIGTERM; a new process replaces it after `length_ms` (0: never)
//   join w|s        one more worker or server
//   visit w|s       one more worker or server, which gets SIGTERM after `length_ms`
//   refuse wN       the worker can't prepare jobs
//   fail wN         each slot that the worker computes fails
//   swallow WHO OTHER
//                   a bug: of the messages of kind OTHER that the node receives or sends, the `number`-th
//                   (from 0) is lost although its stream is intact, and so are all that follow within
//                   `length_ms`. Kinds: the directives prepare, view, target, released; the
//                   reports prepared, installed, evaluated, written; contribution, block
//   cancel jN       a user cancels the job
//   forget          the scheduler dies and comes back with an empty store; the job is submitted again, to
//                   continue from its newest checkpoint
//   outdate         after `length_ms` the scheduler's store is replaced by a copy made at `at_ms`
//   rebuild         all machines lose power; another cluster continues from the newest checkpoint
//
// WHO is "scheduler", "sN" or "wN": the N-th living server or worker, modulo their number.
struct Fault {
  std::string kind;
  std::string who;
  std::string other;
  int at_ms = 0;
  int length_ms = 0;
  uint64_t number = 0;
};

struct Schedule {
  uint64_t seed = 1;                 // for everything else: delays, losses, which bit flips
  std::vector<uint64_t> jobs = {0};  // of MakeUpJob, in order of submission
  int servers = 1;
  int workers = 1;
  double lost = 0;  // see Weather
  double doubled = 0;
  double damaged = 0;
  int slowest_ms = 2;
  std::vector<Fault> faults;
};

// "seed=7 jobs=3,5 servers=2 workers=3 lost=0.001 doubled=0.02 damaged=0 slowest=5 | kill w0 at=120 for=300".
std::string ToText(const Schedule& schedule);
// Errors: INVALID_ARGUMENT.
absl::StatusOr<Schedule> ParseSchedule(absl::string_view text);

// A random schedule, a pure function of its number.
Schedule RandomSchedule(uint64_t number);

// Simpler schedules to try when this one fails, the simplest first.
std::vector<Schedule> Simpler(const Schedule& schedule);

}  // namespace shoal::simulation
