// The cost of the protocol itself, without parameters.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

namespace shoal::bench {

struct ControlOptions {
  int slots = 256;
  int rounds = 200;
  int nodes = 1000;
  int channels = 0;     // connections that the nodes share; 0: one for each
  double seconds = 10;  // measured time; 0: measures only the round
};

// Prints two lines about rounds of one block of 16 elements, on one thread without a network, and one about
// the scheduler.
//
// A round in which each of `slots` workers has one slot ("workers": slots), and one in which one worker has
// all of them:
//   server_milliseconds   parse each contribution's message, check it, add it to the ledger (with all merges
//                         up the slot tree), update, write the published block's message for each worker, and
//                         the round's statistics
//   worker_milliseconds   of one worker (they work in parallel): choose the work, per slot the bookkeeping
//                         of the reduction, write the contribution's message, parse the published block's,
//                         note the new version
//   round_milliseconds    their sum
// Not counted: gRPC, threads that wake each other, and the reports to the scheduler, of which a server sends
// at most 20 per second however many slots there are.
//
// The scheduler: a real process with `nodes` sessions over loopback that send heartbeats at the interval it
// requests, without a job.
//   core_share            its CPU time (/proc/PID/stat, user and system) over the wall time
// Errors: the daemon's, or that it has dropped a node.
absl::Status RunControl(const ControlOptions& options);

}  // namespace shoal::bench
