// What is derived from the data: kept, deleted, and derived again when it is lost.
#include <map>
#include <set>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "scheduler/core_harness.h"

namespace shoal::scheduler {
namespace {

JobPlan PlanWithArtifacts(const std::string& of) {
  JobPlan plan = Plan();
  for (const char* name : {"dataset", "tokenizer", "frozen"}) {
    Artifact& artifact = *plan.add_artifacts();
    artifact.set_name(name);
    artifact.set_sha256(of + name);
  }
  return plan;
}

TEST_CASE(
    "Artifacts that no job needs are deleted when the next one's turn comes, but not those that an export "
    "needs") {
  const bool has_checkpoint = GENERATE(true, false);
  Harness h;
  const uint64_t server = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit();
  CHECK(h.kept_artifacts().empty());
  h.Prepared(w, /*derived=*/true, PlanWithArtifacts("a-"));
  h.Prepared(server);
  h.Installed(server, 1);
  if (has_checkpoint) {
    h.Reached(server, 0, 5);
    h.Written(server, 0, 5);
    h.CommitLast();
  }
  h.Submit(Spec(), "second");
  h.Restart();
  CHECK(h.kept_artifacts() == std::set<std::string>{"a-dataset", "a-frozen", "a-tokenizer"});
  REQUIRE(h.core().Cancel(h.now(), JobId(1)).ok());
  h.Take();
  CHECK(h.kept_artifacts() ==
        (has_checkpoint ? std::set<std::string>{"a-frozen", "a-tokenizer"} : std::set<std::string>()));
}

TEST_CASE("What an export needs stays while a job's first commit ends after the job, and the commit counts") {
  Harness h;
  const uint64_t server = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit();
  h.Prepared(w, /*derived=*/true, PlanWithArtifacts("a-"));
  h.Prepared(server);
  h.Installed(server, 1);
  h.Reached(server, 0, 5);
  h.Written(server, 0, 5);
  REQUIRE(h.core().Cancel(h.now(), JobId(1)).ok());
  h.Take();
  CHECK(h.kept_artifacts() == std::set<std::string>{"a-frozen", "a-tokenizer"});
  h.CommitLast();
  h.Restart();
  CHECK(h.kept_artifacts() == std::set<std::string>{"a-frozen", "a-tokenizer"});
  CHECK(h.GetJob().checkpoints_size() == 1);
}

TEST_CASE(
    "A restarted scheduler deletes nothing that a worker uploads for a plan that it does not know yet") {
  Harness h;
  h.Join(NODE_ROLE_WORKER, "w");
  h.Submit();
  std::vector<Action> actions;
  h.Restart();
  CHECK(h.kept_artifacts().empty());
  bool deleted = false;
  h.core().Tick(h.now());
  for (const Action& action : h.core().TakeActions())
    deleted |= std::holds_alternative<KeepArtifacts>(action);
  CHECK_FALSE(deleted);
}

TEST_CASE("An artifact that is lost is derived again, by a worker without slots if there is one") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), busy = h.Join(NODE_ROLE_WORKER, "busy");
  const JobPlan plan = PlanWithArtifacts("a-");
  h.Submit();
  h.Prepared(busy, /*derived=*/true, plan);
  h.Prepared(s);
  h.Installed(s, 1);
  const uint64_t idle = h.Join(NODE_ROLE_WORKER, "idle");
  h.Refused(idle, "fetching artifact dataset: there is no artifact a-dataset");
  h.Clear();
  h.core().ArtifactLost(h.now(), "another job's");
  h.core().ArtifactLost(h.now(), "a-dataset");
  h.Take();
  h.Pass(absl::Seconds(2), {s, busy, idle});
  CHECK(h.Last(busy, Directive::kPrepareJob) == nullptr);
  REQUIRE(h.Last(idle, Directive::kPrepareJob) != nullptr);
  CHECK(h.Last(idle, Directive::kPrepareJob)->prepare_job().derive());
  CHECK(h.Last(idle, Directive::kPrepareJob)->prepare_job().derivation() == 1);
  SECTION("it has the data") {
    h.Clear();
    h.Prepared(idle, /*derived=*/true, plan);
    CHECK(h.CurrentView().slots_size() == 2);
    h.Pass(absl::Seconds(20), {s, busy, idle});
    CHECK(h.Last(busy, Directive::kPrepareJob) == nullptr);
  }
  SECTION("it lacks the data, or has different data") {
    if (GENERATE(true, false)) {
      h.Refused(idle, "data.tsv: No such file");
    } else {
      h.Prepared(idle, /*derived=*/true, PlanWithArtifacts("b-"));
    }
    h.Pass(absl::Milliseconds(300), {s, busy, idle});
    REQUIRE(h.Last(busy, Directive::kPrepareJob) != nullptr);
    CHECK(h.Last(busy, Directive::kPrepareJob)->prepare_job().derive());
    h.Clear();
    h.Prepared(busy, /*derived=*/true, plan);
    CHECK(h.GetJob().state() == JOB_STATE_RUNNING);
    CHECK(h.Last(busy, Directive::kView) != nullptr);  // it has dropped the job in order to prepare
    h.Clear();
    h.Pass(absl::Seconds(20), {s, busy, idle});
    REQUIRE(h.Last(idle, Directive::kPrepareJob) != nullptr);
    CHECK_FALSE(h.Last(idle, Directive::kPrepareJob)->prepare_job().derive());
  }
}

// Workers without the data, of which all but one have the artifacts of the job, answer what they are offered.
// Counts how often each is asked to derive.
void AnswerOffers(Harness* h, uint64_t without_artifacts, std::map<uint64_t, int>* asked) {
  std::map<uint64_t, bool> offers;  // whether it is to derive
  for (const auto& [worker, count] : *asked) {
    if (const Directive* const offer = h->Last(worker, Directive::kPrepareJob))
      offers[worker] = offer->prepare_job().derive();
  }
  h->Clear();
  for (const auto& [worker, derive] : offers) {
    (*asked)[worker] += derive ? 1 : 0;
    if (derive || worker == without_artifacts) {
      h->Refused(worker, derive ? "data.tsv: No such file" : "there is no artifact a-dataset");
    } else {
      h->Prepared(worker);
    }
  }
}

TEST_CASE("A worker that can't derive what is lost is taken away from its slots once, not again and again") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), first = h.Join(NODE_ROLE_WORKER, "w-1"),
                 second = h.Join(NODE_ROLE_WORKER, "w-2");
  h.Submit();
  h.Prepared(first, /*derived=*/true, PlanWithArtifacts("a-"));
  h.Prepared(second);
  h.Prepared(s);
  h.Installed(s, 1);
  const uint64_t idle = h.Join(NODE_ROLE_WORKER, "idle");
  h.Clear();
  h.core().ArtifactLost(h.now(), "a-dataset");
  h.Take();
  std::map<uint64_t, int> asked = {{first, 0}, {second, 0}, {idle, 0}};
  for (int i = 0; i < 3000; ++i) {
    h.Pass(absl::Milliseconds(100), {s, first, second, idle});
    h.Installed(s, h.CurrentView().view());
    AnswerOffers(&h, idle, &asked);
  }
  CHECK(asked[first] == 1);
  CHECK(asked[second] == 1);
  CHECK(asked[idle] > 3);  // the data may be there some day
  CHECK(h.GetJob().state() == JOB_STATE_RUNNING);
  CHECK(h.CurrentView().slots_size() == 2);
}

}  // namespace
}  // namespace shoal::scheduler
