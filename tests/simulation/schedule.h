// What a simulated cluster goes through: everything that happens to it is a function of one of these.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace shoal::simulation {

// Something bad that happens once. Times are simulated.
//
//   kill WHO        the process dies at once; after `length_ms` another one takes its place (0: none does)
//   power WHO       the same with the machine's power: what it had not synced may be lost
//   crash WHO       as power, right after the process's next `number` actions
//   freeze WHO      SIGSTOP for `length_ms`
//   hang WHO OTHER  only the executor of that name hangs: runner, updates, files, restores, timers, ...
//   cut WHO OTHER   nothing goes from the one to the other, nor back
//   cut1 WHO OTHER  nothing goes from the one to the other
//   stray WHO       cut off from the scheduler, and from any that takes its place, both ways
//   island WHO      worker or server: cut off from all of the other role, not from the scheduler
//   full WHO        its disk is full
//   broken WHO      its disk gives I/O errors
//   unmount WHO     the storage of checkpoints is not mounted: its folder is empty
//   flip, tear, swap, lose   a file of a committed checkpoint is damaged: one bit, its end, with another
//                   file, all of it; `number` says which
//   leave WHO       SIGTERM; another one takes its place after `length_ms` (0: none does)
//   join w|s        one more
//   refuse wN       the worker can't prepare jobs
//   swallow WHO OTHER  a bug: of the messages of that kind that the node gets or sends, the `number`-th (from
//   0
//                   on) is lost though its stream stands; with a length all that follow in it too.
//                   Directives: prepare, view, target. Reports: prepared, installed, evaluated, written.
//                   contribution, block
//   cancel jN       somebody cancels the job
//   forget          the scheduler dies and comes back with an empty store; the job is submitted again, to go
//                   on from its newest checkpoint
//   outdate         an older copy of the scheduler's store takes its place: the one from `at_ms`, after
//   `length_ms` rebuild         all machines lose their power; another cluster goes on from the newest
//   checkpoint
//
// WHO is "scheduler", "sN" or "wN": the N-th living server or worker, counted round and round.
struct Fault {
  std::string kind;
  std::string who;
  std::string other;
  int at_ms = 0;
  int length_ms = 0;
  uint64_t number = 0;
};

struct Schedule {
  uint64_t seed = 1;                 // of everything else: delays, what is lost, which bit flips
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

// A schedule of everything, by its number.
Schedule RandomSchedule(uint64_t number);

// Simpler ones to try when this one fails, the simplest first.
std::vector<Schedule> Simpler(const Schedule& schedule);

}  // namespace shoal::simulation
