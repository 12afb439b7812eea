// How a restarted scheduler reads its store, including damaged records.
#include <string>

#include "catch2/catch.hpp"
#include "scheduler/core_harness.h"

namespace shoal::scheduler {
namespace {

using Catch::Matchers::Contains;

TEST_CASE("A restarted scheduler continues: nodes report again, and nothing is decided twice") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  h.Reached(s, 0, 10);
  h.EvaluatedAll(w, EVALUATION_SET_VALIDATION, 10);
  h.Clear();
  h.Restart();
  REQUIRE(h.Open(s).ok());
  REQUIRE(h.Open(w).ok());
  h.Installed(s, 1);
  h.Pass(absl::Seconds(1), {s, w});
  CHECK(h.CurrentView().view() == 1);
  REQUIRE(h.Last(w, Directive::kView) != nullptr);
  CHECK(h.Last(w, Directive::kView)->view().target().version() == 20);
  CHECK(h.GetJob().evaluations_size() == 1);
}

TEST_CASE("A reason that quotes a damaged file does not make the store unreadable") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  h.Written(s, 0, 10, "no tensor 'theta\xFF'");
  for (int i = 0; i < 3; ++i) h.Installed(s, h.CurrentView().view(), "no tensor 'theta\xFF'");
  h.Restart();  // reads it
  CHECK(h.GetJob().job() == 1);
}

TEST_CASE("A store whose keys are damaged is an error, not an exception") {
  for (const char* table : {kStateTable, kEvaluationTable, kNodeTable, kJobTable}) {
    for (const char* key : {"", "zz", "0000000000000001x", "00000000000000000000000000000000001", "1"}) {
      SchedulerCore core{SchedulerOptions()};
      CHECK(absl::IsDataLoss(core.Load(absl::FromUnixSeconds(1), {{table, key, ""}})));
    }
  }
}

TEST_CASE("A damaged store is an error that names the record") {
  SchedulerCore core((SchedulerOptions()));
  const absl::Status status = core.Load(absl::UnixEpoch(), {{kJobTable, "0001", "\xff\xff"}});
  CHECK(status.code() == absl::StatusCode::kDataLoss);
  CHECK_THAT(std::string(status.message()), Catch::Matchers::Contains("0001"));
}

TEST_CASE("A record of the store whose key names no job is an error that names the record") {
  for (const char* table : {kStateTable, kEvaluationTable}) {
    for (const char* key : {"", "job", "123456789012345678901234"}) {
      SchedulerCore core((SchedulerOptions()));
      const absl::Status status = core.Load(absl::UnixEpoch(), {{table, key, ""}});
      CHECK(status.code() == absl::StatusCode::kDataLoss);
      CHECK_THAT(std::string(status.message()), Catch::Matchers::Contains(table));
    }
  }
}

}  // namespace
}  // namespace shoal::scheduler
