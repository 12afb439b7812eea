// Promise 1 on the real cores: whatever happens to messages and machines, the job ends with the undisturbed
// run's bits. A failing schedule is named by its number: SHOAL_SIMULATION_SEED=n runs it alone,
// SHOAL_SIMULATION_LOG=1 tells what happens.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/numbers.h"
#include "catch2/catch.hpp"
#include "tests/simulation/simulated_cluster.h"

namespace shoal::simulation {
namespace {

constexpr int kSchedules = 1000;  // of each kind

const SimulationResult& Undisturbed() {
  static const auto* const result =
      new SimulationResult(SimulatedCluster(1, 1, 1, {}).Run(Hardship().longest));
  return *result;
}

void CheckSame(uint64_t seed, const SimulationResult& got) {
  const SimulationResult& expected = Undisturbed();
  INFO("schedule " << seed << ", simulated time " << absl::FormatDuration(got.time) << ", " << got.reason);
  REQUIRE(got.state == JOB_STATE_COMPLETED);
  REQUIRE(got.result.parameters_sha256() == expected.result.parameters_sha256());
  REQUIRE(got.result.version() == expected.result.version());
  REQUIRE(got.evaluations.size() == expected.evaluations.size());
  for (size_t i = 0; i < got.evaluations.size(); ++i) {
    REQUIRE(got.evaluations[i].SerializeAsString() == expected.evaluations[i].SerializeAsString());
  }
}

// `luck` varies the cluster and the hardship from seed to seed.
template <typename Luck>
void RunSchedules(uint64_t first, const Luck& luck) {
  uint64_t only = 0;
  const char* const chosen = std::getenv("SHOAL_SIMULATION_SEED");
  const bool one = chosen != nullptr && absl::SimpleAtoi(chosen, &only);
  for (uint64_t seed = first; seed < first + kSchedules; ++seed) {
    if (one && seed != only) continue;
    Hardship hardship;
    const int servers = 1 + static_cast<int>(seed % 3), workers = 1 + static_cast<int>(seed / 3 % 4);
    luck(seed, &hardship);
    const SimulationResult result = SimulatedCluster(seed, servers, workers, hardship).Run(hardship.longest);
    CheckSame(seed, result);
    INFO("schedule " << seed);
    REQUIRE(result.restores <= hardship.most_restores);
  }
}

TEST_CASE("The undisturbed run completes, and its evaluations decide what is kept", "[simulation]") {
  const SimulationResult& result = Undisturbed();
  INFO(result.reason << " after " << absl::FormatDuration(result.time));
  REQUIRE(result.state == JOB_STATE_COMPLETED);
  CHECK(result.result.rounds() == 18);
  CHECK(result.result.parameters_sha256().size() == 64);
  CHECK(result.last_checkpoint == 18);
  CHECK(result.evaluations.size() == 4);  // three epochs and the test
  CHECK(result.views == 1);
}

TEST_CASE("Any number of servers and workers gives the same bits", "[simulation]") {
  for (int servers = 1; servers <= 4; ++servers) {
    for (int workers = 1; workers <= 7; ++workers) {
      CheckSame(servers * 100 + workers, SimulatedCluster(7, servers, workers, {}).Run(Hardship().longest));
    }
  }
}

TEST_CASE("Messages late, lost, doubled, damaged and out of order change nothing", "[simulation]") {
  RunSchedules(10000, [](uint64_t seed, Hardship* hardship) {
    hardship->break_stream = 0.002 * (1 + seed % 5);
    hardship->duplicate = 0.05;
    hardship->damage = 0.01;
    hardship->slowest = absl::Milliseconds(1 + seed % 15);
  });
}

TEST_CASE("Workers killed, frozen and joining change nothing but the time", "[simulation]") {
  RunSchedules(20000, [](uint64_t seed, Hardship* hardship) {
    hardship->kill_workers = 1 + static_cast<int>(seed % 3);
    hardship->freeze_workers = static_cast<int>(seed / 2 % 3);
    hardship->join_workers = static_cast<int>(seed % 2);
    hardship->break_stream = 0.001;
    hardship->duplicate = 0.02;
  });
}

TEST_CASE("A server lost sends the job back to a checkpoint, and the bits are the same", "[simulation]") {
  RunSchedules(30000, [](uint64_t seed, Hardship* hardship) {
    hardship->kill_servers = 1 + static_cast<int>(seed % 2);
    hardship->kill_workers = static_cast<int>(seed / 2 % 2);
    hardship->break_stream = 0.001;
  });
}

TEST_CASE("A frozen server is a lost one, and the bits are the same", "[simulation]") {
  RunSchedules(60000, [](uint64_t seed, Hardship* hardship) {
    hardship->freeze_servers = 1 + static_cast<int>(seed % 2);
    hardship->freeze_workers = static_cast<int>(seed / 2 % 2);
    hardship->kill_scheduler = static_cast<int>(seed / 4 % 2);
    hardship->break_stream = 0.001;
  });
}

TEST_CASE("A frozen scheduler takes nobody for dead when it goes on", "[simulation]") {
  RunSchedules(70000, [](uint64_t seed, Hardship* hardship) {
    hardship->freeze_scheduler = 1 + static_cast<int>(seed % 3);
    hardship->most_restores = Undisturbed().restores;
  });
}

TEST_CASE("Jobs cancelled, at whatever moment, leave the next one undisturbed and without delay",
          "[simulation]") {
  RunSchedules(50000, [](uint64_t seed, Hardship* hardship) {
    hardship->cancelled_jobs = 1 + static_cast<int>(seed % 2);
    hardship->kill_workers = static_cast<int>(seed / 2 % 2);
    hardship->slowest = absl::Milliseconds(1 + seed % 9);
    hardship->longest = absl::Seconds(5);  // an offer that was lost would be made again only after 10
  });
}

TEST_CASE("The scheduler killed and restarted in the middle of all this changes nothing", "[simulation]") {
  RunSchedules(40000, [](uint64_t seed, Hardship* hardship) {
    hardship->kill_scheduler = 1 + static_cast<int>(seed % 2);
    hardship->kill_workers = static_cast<int>(seed / 2 % 2);
    hardship->kill_servers = static_cast<int>(seed / 4 % 2);
    hardship->freeze_workers = static_cast<int>(seed / 8 % 2);
    hardship->break_stream = 0.002;
    hardship->duplicate = 0.02;
    hardship->damage = 0.005;
  });
}

}  // namespace
}  // namespace shoal::simulation
