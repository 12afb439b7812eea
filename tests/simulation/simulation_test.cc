// Promise 1 on the shells that ship: whatever happens to messages and machines, each job ends with the
// reference's bits, evaluations and metrics. A failing schedule is shrunk and printed with the command that
// replays it.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>

#include "absl/base/config.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "catch2/catch.hpp"
#include "common/base/log.h"
#include "tests/simulation/made_up_job.h"
#include "tests/simulation/reference.h"
#include "tests/simulation/run_schedule.h"
#include "tests/simulation/shrink.h"

namespace shoal::simulation {
namespace {

uint64_t Environment(const char* variable, uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  uint64_t number = 0;
  return text != nullptr && absl::SimpleAtoi(text, &number) ? number : otherwise;
}

// Every n-th schedule runs. The release build runs all; AddressSanitizer is far too slow for that.
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
constexpr uint64_t kThinning = 60;
#else
constexpr uint64_t kThinning = 1;
#endif

// The schedules of each test case are numbered; this process runs number kFirst and every kStep-th after it:
// its share by Bazel's test sharding.
const uint64_t kFirst = Environment("TEST_SHARD_INDEX", 0);
const uint64_t kStep = Environment("TEST_TOTAL_SHARDS", 1) * kThinning;

Outcome Check(const Schedule& schedule) {
  SilenceLog();
  const Outcome outcome = RunSchedule(schedule);
  if (outcome.failure.empty()) return outcome;
  const Schedule small = Shrink(schedule, 300);
  FAIL(outcome.failure << "\nreplay it: tools/simulate --log --schedule '" << ToText(small)
                       << "'\nof: " << ToText(schedule));
  return outcome;
}

TEST_CASE("Undisturbed, any number of servers and workers comes to the reference", "[simulation]") {
  std::set<std::string> queues;  // that the status shows: two schedules have all of them
  for (uint64_t job = kFirst; job < 60; job += std::min<uint64_t>(kStep, 40)) {
    Schedule schedule;
    schedule.jobs = {job};
    schedule.servers = 1 + static_cast<int>(job % 4);
    schedule.workers = 1 + static_cast<int>(job / 4 % 5);
    for (const auto& [name, length] : Check(schedule).longest_queues) queues.insert(name);
  }
  CHECK(queues == std::set<std::string>{"directives", "former jobs", "held contributions", "reports",
                                        "snapshots", "streams", "unfinished jobs", "watchers",
                                        "leftovers to delete"});
}

// For each n, the n-th action of a process is its last one: between a store's write and each effect, between
// any two operations on a disk, between any two messages.
void CrashAfterEachAction(const std::string& who, uint64_t job, int servers, int workers) {
  for (uint64_t n = 1 + kFirst;; n += kStep) {
    Schedule schedule;
    schedule.jobs = {job};
    schedule.servers = servers;
    schedule.workers = workers;
    schedule.faults = {{"crash", who, "", 0, 30, n}};
    if (!Check(schedule).crashed) break;
  }
}

TEST_CASE("Each process may lose its power after each single thing that it does", "[simulation]") {
  for (const char* who : {"scheduler", "s0", "w0"}) {
    CrashAfterEachAction(who, 0, 2, 2);
    CrashAfterEachAction(who, 4, 1, 1);
  }
}

// Losses that no other rule repairs, as caused by a bug: the scheduler's last resort must repair them.
TEST_CASE("Whichever single message is lost though its stream stands, the job comes to the reference",
          "[simulation]") {
  uint64_t interventions = 0, count = 0;
  for (const char* kind :
       {"s0 view", "s0 prepare", "s0 prepared", "s0 installed", "s0 written", "s0 block", "w0 prepare",
        "w0 prepared", "w0 view", "w0 target", "w0 evaluated", "w0 contribution"}) {
    const std::pair<std::string, std::string> words = absl::StrSplit(kind, ' ');
    for (uint64_t job : {0, 4, 5, 9}) {
      for (uint64_t number = 0; number < 6; ++number) {
        if (count++ % kStep != kFirst) continue;
        Schedule schedule;
        schedule.jobs = {job};
        schedule.servers = 1 + static_cast<int>(number % 2);
        schedule.workers = 1 + static_cast<int>(number / 2 % 2);
        schedule.faults = {{"swallow", words.first, words.second, 0, 0, number}};
        interventions += Check(schedule).interventions;
      }
    }
  }
  CHECK(interventions * kStep > 50);
}

TEST_CASE(
    "A node whose messages are all lost from some time on is worked around, or what is missing is reported",
    "[simulation]") {
  for (const char* kind : {"w0 evaluated", "w0 contribution", "w0 view", "s0 installed"}) {
    const std::pair<std::string, std::string> words = absl::StrSplit(kind, ' ');
    Schedule schedule;
    schedule.servers = schedule.workers = 2;
    schedule.faults = {{"swallow", words.first, words.second, 0, 200'000, 0}};
    CHECK(Check(schedule).interventions > 0);
    schedule.servers = schedule.workers = 1;
    CHECK_THAT(RunSchedule(schedule).failure,
               Catch::Matchers::Contains("for no known reason; still missing: "));
  }
}

TEST_CASE("A node may leave at any time, also while it joins; a release that does not come is noticed",
          "[simulation]") {
  for (uint64_t number = kFirst; number < 120; number += kStep) {
    Schedule schedule;
    schedule.seed = number;
    schedule.jobs = {number % 9};
    schedule.servers = schedule.workers = 2;
    schedule.slowest_ms = 1 + static_cast<int>(number % 20);
    const int stay = static_cast<int>(number / 2);
    schedule.faults = {{"visit", number % 2 == 0 ? "w" : "s", "", 20, stay, 0},
                       {"leave", number % 2 == 0 ? "s0" : "w0", "", 100 + stay * 10, 200, 0}};
    Check(schedule);
  }
  Schedule schedule;
  schedule.servers = schedule.workers = 2;
  schedule.faults = {{"swallow", "w0", "released", 0, 200'000, 0},
                     {"leave", "w0", "", 100, 0, 0},
                     {"freeze", "s0", "", 100, 60'000, 0},
                     {"freeze", "s1", "", 100, 60'000, 0}};
  CHECK_THAT(RunSchedule(schedule).failure, Catch::Matchers::Contains("does not release it"));
}

TEST_CASE("A job that wanted two nodes of each role goes on with what is left of them", "[simulation]") {
  for (uint64_t number = kFirst; number < 40; number += kStep) {
    Schedule schedule;
    schedule.seed = number;
    schedule.jobs = {kFirstJobOfTwo + number};
    schedule.servers = schedule.workers = 2;
    const int at = 100 + static_cast<int>(number) * 15;
    // The last one of a role is replaced at once.
    for (const char* who : {"s0", "s0", "w0", "w0"}) schedule.faults.push_back({"kill", who, "", at, 0, 0});
    Check(schedule);
  }
}

TEST_CASE("Of a failing schedule only what makes it fail remains", "[simulation]") {
  Schedule schedule;
  schedule.jobs = {3};
  schedule.servers = schedule.workers = 1;
  schedule.slowest_ms = 9;
  schedule.faults = {{"cut", "w0", "s0", 400, 30, 0},
                     {"swallow", "w0", "contribution", 0, 200'000, 0},
                     {"freeze", "s0", "", 100, 60, 0}};
  REQUIRE_FALSE(RunSchedule(schedule).failure.empty());
  const Schedule small = Shrink(schedule, 100);
  CHECK_FALSE(RunSchedule(small).failure.empty());
  REQUIRE(small.faults.size() == 1);
  CHECK(small.faults[0].kind == "swallow");
  CHECK(small.faults[0].length_ms < 200'000);
  CHECK(small.slowest_ms == 2);
  CHECK(ToText(Shrink(schedule, 0)) == ToText(schedule));
}

// Both clusters number their jobs and views from 1.
TEST_CASE("A node that stays in a cluster that is gone gets into nothing of the next one", "[simulation]") {
  for (uint64_t number = kFirst; number < 60; number += kStep) {
    Schedule schedule;
    schedule.seed = number;
    schedule.jobs = {number};
    schedule.servers = 2;
    schedule.workers = 2;
    const int at = 60 + static_cast<int>(number % 7) * 30;
    schedule.faults = {{"stray", number % 3 == 0 ? "s0" : "w0", "", at, 3000, 0},
                       {"forget", "", "", at + 20, 0, 0}};
    Check(schedule);
  }
}

TEST_CASE("A store of which an older copy is put back goes on from a checkpoint that it knows",
          "[simulation]") {
  for (uint64_t number = kFirst; number < 60; number += kStep) {
    Schedule schedule;
    schedule.seed = number;
    schedule.jobs = {number};
    schedule.servers = 2;
    schedule.workers = 2;
    const int at = 60 + static_cast<int>(number % 7) * 30, after = 60 + static_cast<int>(number % 5) * 60;
    schedule.faults = {{"outdate", "", "", at, after, 0}, {"kill", "w0", "", at + after / 2, 20, 0}};
    Check(schedule);
  }
}

TEST_CASE("Schedules that once failed", "[simulation]") {
  for (const char* text : {
           // One server had dropped the job when an older store came back, and the other had not.
           "seed=30169371 jobs=0 servers=2 workers=2 lost=0 doubled=0.05 damaged=0 slowest=11 | "
           "outdate at=131 for=240 number=70 | outdate at=9 for=180 number=141 | stray s0 at=140 for=300",
           // The same, and the scheduler that could have noticed was killed.
           "seed=30169371 jobs=0 servers=2 workers=2 lost=0 doubled=0.05 damaged=0 slowest=11 | "
           "outdate at=131 for=240 number=70 | outdate at=9 for=180 number=141 | "
           "stray s0 at=140 for=700 | kill scheduler at=700 for=20",
           // Both servers had dropped it, and a worker had not.
           "seed=30169371 jobs=0 servers=2 workers=2 lost=0 doubled=0.05 damaged=0 slowest=11 | "
           "outdate at=131 for=240 number=70 | outdate at=9 for=180 number=141",
           // The worker's results had arrived before the scheduler of the older store expected them.
           "seed=40063854 jobs=235 servers=3 workers=1 lost=0 doubled=0.05 damaged=0 slowest=12 | "
           "freeze s0 at=136 for=86 | outdate at=488 for=50 number=630",
       }) {
    const auto schedule = ParseSchedule(text);
    REQUIRE(schedule.ok());
    Check(*schedule);
  }
}

TEST_CASE("The made-up jobs are of all kinds", "[simulation]") {
  int early = 0, older = 0, clipped = 0, bf16 = 0, unevaluated = 0, blocks = 0, bad = 0, factors = 0,
      empty = 0, averages = 0, skipped = 0;
  for (uint64_t number = 0; number < 400; ++number) {
    const MadeUpJob job = MakeUpJob(number);
    const Reference reference = RunReference(job);
    const bool ends = reference.failure.empty();
    early += ends && reference.stats.size() < job.plan.rounds();
    older += ends && reference.kept_version < reference.stats.size();
    bad += !ends;
    clipped += job.spec.optimizer().clip_norm() > 0;
    bf16 += job.spec.train().wire() == WIRE_FORMAT_BF16;
    unevaluated += job.spec.evaluation().every().never();
    blocks += job.blocks.size() >= 4;  // several a shard: schedules have at most 3 servers
    averages += job.spec.optimizer().ema_decay() > 0;
    for (const ContributionStats& stats : reference.stats)
      skipped += std::isnan(stats.loss()) && reference.failure.empty();
    factors += job.plan.parameters(0).has_rate_factor();
    empty += static_cast<int>(job.blocks.size()) < job.plan.group_sizes_size();
  }
  CHECK(early > 10);
  CHECK(older > 40);
  CHECK(clipped > 100);
  CHECK(bf16 > 100);
  CHECK(unevaluated > 10);
  CHECK(blocks > 100);
  CHECK(bad > 20);
  CHECK(factors > 100);
  CHECK(empty > 100);
  CHECK(averages > 50);
  CHECK(skipped > 3);
}

TEST_CASE("A schedule is a pure function of what is written down", "[simulation]") {
  for (uint64_t number = kFirst; number < 200; number += kStep) {
    const Schedule schedule = RandomSchedule(number);
    const auto again = ParseSchedule(ToText(schedule));
    REQUIRE(again.ok());
    REQUIRE(ToText(*again) == ToText(schedule));
    const Outcome first = RunSchedule(schedule), second = RunSchedule(*again);
    INFO(ToText(schedule));
    REQUIRE(first.events == second.events);
    REQUIRE(first.failure == second.failure);
  }
}

TEST_CASE("Whatever happens, the job comes to the reference", "[simulation]") {
  for (uint64_t number = kFirst; number < 10000; number += kStep) Check(RandomSchedule(number));
}

}  // namespace
}  // namespace shoal::simulation
