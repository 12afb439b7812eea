#include "scheduler/preparation.h"

#include "catch2/catch.hpp"
#include "scheduler/part_harness.h"

namespace shoal::scheduler {
namespace {

using Catch::Matchers::Contains;
using Outcome = Preparation::RestoreOutcome;

struct Fixture : Surroundings {
  Preparation preparation{context, Definition(Spec(), /*planned=*/false)};

  size_t Offers(uint64_t node) { return Sent(node, Directive::kPrepareJob).size(); }
  void Plan(const Member& member, const JobPlan& plan = scheduler::Plan()) {
    JobPrepared report;
    *report.mutable_plan() = plan;
    CHECK_FALSE(preparation.OnPrepared(now, member, report));
  }
  void Prepared(const Member& member) { CHECK_FALSE(preparation.OnPrepared(now, member, JobPrepared())); }
  Preparation::Refusal Refused(const Member& member, bool fatal = false, bool at_work = false,
                               bool differs = false) {
    JobRefused report;
    report.set_reason("no such file");
    report.set_fatal(fatal);
    report.set_differs(differs);
    return preparation.OnRefused(now, member, report, at_work);
  }
};

TEST_CASE("One worker derives the plan, which is stored and offered to all") {
  Fixture f;
  const Member &worker = f.Join(1, NODE_ROLE_WORKER), &server = f.Join(2, NODE_ROLE_SERVER);
  CHECK(*f.preparation.Derive(f.now).reason == "worker-1 reads the data");
  CHECK(f.Sent(1, Directive::kPrepareJob).back().prepare_job().derive());
  CHECK(f.Offers(2) == 0);
  f.Plan(worker);
  CHECK(f.preparation.has_plan());
  CHECK(f.preparation.IsPrepared(worker.id));
  f.preparation.OfferPlan(f.now);
  CHECK(f.Sent(2, Directive::kPrepareJob).back().prepare_job().plan().rounds() == 20);
  CHECK(f.preparation.NotReady(f.now)->reason);  // no server yet
  f.Prepared(server);
  CHECK_FALSE(f.preparation.NotReady(f.now));
}

TEST_CASE("The first view waits a while for nodes that are still preparing") {
  Fixture f;
  const Member &worker = f.Join(1, NODE_ROLE_WORKER), &server = f.Join(2, NODE_ROLE_SERVER);
  f.Join(3, NODE_ROLE_WORKER);
  f.Plan(worker);
  f.preparation.OfferPlan(f.now);
  f.Prepared(server);
  CHECK(f.preparation.NotReady(f.now));
  CHECK_FALSE(f.preparation.NotReady(f.now + f.options.settle));
}

TEST_CASE("An offer is repeated if it is not answered, and in a new session") {
  Fixture f;
  f.Plan(f.Join(1, NODE_ROLE_WORKER));
  f.Join(2, NODE_ROLE_WORKER);
  for (int i = 0; i < 2; ++i) f.preparation.OfferPlan(f.now);
  CHECK(f.Offers(2) == 1);
  f.preparation.OnSessionOpened(NodeId(2));
  f.preparation.OfferPlan(f.now);
  CHECK(f.Offers(2) == 2);
  f.preparation.OfferPlan(f.now + f.options.offer_again);
  CHECK(f.Offers(2) == 3);
}

TEST_CASE("A worker that refuses to derive is asked less and less often, until all have refused enough") {
  Fixture f;
  const Member& worker = f.Join(1, NODE_ROLE_WORKER);
  for (uint32_t i = 0; i < kMaxAttempts; ++i) {
    CHECK_FALSE(f.preparation.Derive(f.now).failure);
    CHECK(f.Offers(1) == i + 1);
    CHECK_FALSE(f.Refused(worker).failure);
    CHECK_FALSE(f.preparation.Derive(f.now).failure);
    CHECK(f.Offers(1) == i + 1);
    f.now += f.options.PauseAfter(i);
  }
  f.now += f.options.derive_patience;
  CHECK_FALSE(f.preparation.Derive(f.now).failure);  // once more
  f.Refused(worker);
  CHECK_THAT(*f.preparation.Derive(f.now).failure, Contains("worker-1 can't take part: no such file"));
}

TEST_CASE("Data that two machines find wrong fail the job; data that one finds wrong do not at once") {
  Fixture f;
  const Member &one = f.Join(1, NODE_ROLE_WORKER, "a"), &other = f.Join(2, NODE_ROLE_WORKER, "b");
  f.Refused(one, /*fatal=*/true);
  CHECK_FALSE(f.preparation.Derive(f.now).failure);
  f.Refused(other, /*fatal=*/true);
  CHECK(*f.preparation.Derive(f.now).failure == "no such file");
}

TEST_CASE("A plan that most workers contradict is derived again, once") {
  Fixture f;
  const Member& odd = f.Join(1, NODE_ROLE_WORKER);
  f.Plan(odd);
  for (uint64_t id : {2, 3}) f.Refused(f.Join(id, NODE_ROLE_WORKER), false, false, /*differs=*/true);
  f.preparation.DeriveAnewByMajority(f.now);
  CHECK_FALSE(f.preparation.has_plan());
  CHECK(f.preparation.deriver() == NodeId(2));
  CHECK_FALSE(f.preparation.IsPrepared(odd.id));
  CHECK(f.history.interventions() == 1);
  f.Plan(odd);
  for (uint64_t id : {2, 3}) f.Refused(*f.members.Find(NodeId(id)), false, false, /*differs=*/true);
  f.preparation.DeriveAnewByMajority(f.now);
  CHECK(f.preparation.has_plan());
}

TEST_CASE("Failures of work are counted until a whole version clears them") {
  Fixture f;
  const Member& worker = f.Join(1, NODE_ROLE_WORKER);
  f.Plan(worker);
  CHECK(f.Refused(worker, false, /*at_work=*/true).work_failed);
  CHECK_THAT(f.preparation.Refusals(), Contains("worker-1 failed 1 times in a row"));
  f.Prepared(worker);
  View view;
  view.add_slots()->mutable_worker()->set_node_id(1);
  f.preparation.ForgiveFailures(view);
  CHECK(f.preparation.Refusals().empty());
}

TEST_CASE("Servers that can't load stand aside, until all have tried often and for long enough") {
  Fixture f;
  const Member &one = f.Join(1, NODE_ROLE_SERVER), &other = f.Join(2, NODE_ROLE_SERVER);
  for (const Member* server : {&one, &other}) f.Prepared(*server);
  const auto fail = [&](const Member& server, RestoreTrouble trouble) {
    return f.preparation.OnNotLoaded(f.now, server.id, "error", trouble);
  };
  RestoreTrouble trouble = RESTORE_TROUBLE_NONE;
  Outcome expected = Outcome::kAllFailed;
  SECTION("for reasons of their own") {}
  SECTION("as the files give errors") {
    trouble = RESTORE_TROUBLE_UNREADABLE;
    expected = Outcome::kAllUnreadable;
  }
  for (uint32_t i = 0; i < kMaxAttempts; ++i) {
    CHECK(fail(one, trouble) == Outcome::kOthersTry);
    CHECK(fail(other, trouble) == Outcome::kOthersTry);
  }
  CHECK_FALSE(f.preparation.IsPrepared(one.id));
  f.now += f.options.derive_patience;
  CHECK(fail(one, trouble) == expected);
  f.preparation.OnLoaded(other.id);
  CHECK(fail(one, trouble) == Outcome::kOthersTry);
}

TEST_CASE("A lost artifact is derived again by a worker without slots, with the same result") {
  Fixture f;
  JobPlan plan = scheduler::Plan();
  plan.add_artifacts()->set_name("dataset");
  plan.mutable_artifacts(0)->set_sha256("digest");
  f.Plan(f.Join(1, NODE_ROLE_WORKER), plan);
  const Member& idle = f.Join(2, NODE_ROLE_WORKER);
  View view;
  view.add_slots()->mutable_worker()->set_node_id(1);
  f.preparation.OnArtifactLost(f.now, "unknown");
  f.preparation.DeriveLostArtifacts(f.now, view);
  CHECK(f.Offers(2) == 0);
  f.preparation.OnArtifactLost(f.now, "digest");
  f.preparation.DeriveLostArtifacts(f.now, view);
  CHECK(f.Sent(2, Directive::kPrepareJob).back().prepare_job().derivation() == 1);
  f.Plan(idle);  // another one
  CHECK(f.Said("worker-2 has different data than the job"));
  f.preparation.DeriveLostArtifacts(f.now, view);
  CHECK(f.Offers(1) == 1);
  f.Plan(*f.members.Find(NodeId(1)), plan);
  CHECK(f.Said("worker-1 has derived dataset again"));
  CHECK(Stored(f.preparation).derivations() == 1);
}

TEST_CASE("After a restart the nodes of the view are prepared, and the deriver is known") {
  Fixture f;
  JobStateRecord record;
  record.set_deriver(3);
  record.mutable_view()->add_shards()->mutable_primary()->set_node_id(1);
  record.mutable_view()->add_slots()->mutable_worker()->set_node_id(2);
  f.preparation.Load(record);
  CHECK(f.preparation.CountPrepared() == 2);
  CHECK(f.preparation.deriver() == NodeId(3));
  CHECK(f.preparation.Close() == std::set<NodeId>{NodeId(1), NodeId(2)});
  CHECK(Stored(f.preparation).deriver() == 0);
}

}  // namespace
}  // namespace shoal::scheduler
