#include "scheduler/plan_derivation.h"

#include <algorithm>

#include "catch2/catch.hpp"
#include "scheduler/part_harness.h"

namespace shoal::scheduler {
namespace {

using Catch::Matchers::Contains;

struct Fixture : Surroundings {
  JobDefinition job = Definition(Spec(), /*planned=*/false);
  RollCall roll_call{context, job};
  PlanDerivation derivation{context, &job, &roll_call};

  size_t Offers(uint64_t node) { return Sent(node, Directive::kPrepareJob).size(); }
  void Plan(const Member& member, const JobPlan& plan = scheduler::Plan()) {
    JobPrepared report;
    *report.mutable_plan() = plan;
    derivation.OnPrepared(now, member, report);
  }
  // As JobRun tells both parts.
  void Refused(const Member& member, bool fatal = false, bool differs = false) {
    JobRefused report;
    report.set_reason("no such file");
    report.set_fatal(fatal);
    report.set_differs(differs);
    derivation.OnRefused(now, member, report);
    CHECK_FALSE(roll_call.OnRefused(now, member, report, /*at_work=*/false).failure);
  }
};

TEST_CASE("One worker derives the plan, which is stored") {
  Fixture f;
  const Member &worker = f.Join(1, NODE_ROLE_WORKER), &server = f.Join(2, NODE_ROLE_SERVER);
  CHECK(*f.derivation.Derive(f.now).reason == "worker-1 reads the data");
  CHECK(f.Sent(1, Directive::kPrepareJob).back().prepare_job().derive());
  CHECK(f.Offers(2) == 0);
  CHECK(f.derivation.Debtors() == std::vector<NodeId>{worker.id});
  f.derivation.OnPrepared(f.now, server, JobPrepared());  // there is no plan yet
  CHECK_FALSE(f.roll_call.IsPrepared(server.id));
  f.Plan(worker);
  CHECK(f.job.plan().rounds() == 20);
  const std::vector<Persist> saved = f.All<Persist>();
  CHECK(
      std::any_of(saved.begin(), saved.end(), [](const Persist& p) { return p.record.table == kJobTable; }));
  CHECK(f.roll_call.IsPrepared(worker.id));
  CHECK(f.derivation.Debtors().empty());
}

TEST_CASE("Users are told the first labels, and how many examples were left out") {
  Fixture f;
  JobPlan plan = scheduler::Plan();
  SECTION("few labels, all examples") {
    f.Plan(f.Join(1, NODE_ROLE_WORKER), plan);
    CHECK(
        f.Said("worker-1 has read the data: 100 training, 10 validation and 10 test examples; "
               "2 labels: a, b; 20 rounds"));
  }
  SECTION("many labels, without rare ones") {
    for (const char* label : {"c", "d", "e", "f"}) plan.add_labels(label);
    plan.set_rare_examples(12);
    f.Plan(f.Join(1, NODE_ROLE_WORKER), plan);
    CHECK(
        f.Said("10 test examples; left out because of data.min_class_count: 12 examples; "
               "6 labels: a, b, c, d, e, ...; 20 rounds"));
  }
  SECTION("no labels") {
    plan.clear_labels();
    f.Plan(f.Join(1, NODE_ROLE_WORKER), plan);
    CHECK(f.Said("10 test examples; 20 rounds"));
  }
}

TEST_CASE("A plan that does not fit the job, or its checkpoint, counts as a refusal") {
  Fixture f;
  const Member& worker = f.Join(1, NODE_ROLE_WORKER);
  JobPlan plan = scheduler::Plan();
  std::string reason = "too large";
  SECTION("the job") { plan.add_group_sizes(uint64_t{1} << 62); }
  SECTION("the checkpoint") {
    f.job.set_origin_plan_sha256("another");
    reason = "was trained on different data than this job's, or its plan was derived by another release";
  }
  f.derivation.Derive(f.now);
  f.Plan(worker, plan);
  CHECK_FALSE(f.job.has_plan());
  CHECK(f.derivation.deriver() == NodeId(0));
  CHECK(f.roll_call.CountRefusals(worker.id) == 1);
  CHECK_THAT(f.roll_call.ReasonOf(worker.id), Contains(reason));
}

TEST_CASE("A worker that refuses to derive is asked less and less often, until all have refused enough") {
  Fixture f;
  const Member& worker = f.Join(1, NODE_ROLE_WORKER);
  for (uint32_t i = 0; i < kMaxAttempts; ++i) {
    CHECK_FALSE(f.derivation.Derive(f.now).failure);
    CHECK(f.Offers(1) == i + 1);
    f.Refused(worker);
    CHECK_FALSE(f.derivation.Derive(f.now).failure);
    CHECK(f.Offers(1) == i + 1);
    f.now += f.options.PauseAfter(i);
  }
  f.roll_call.Watch(f.now, /*started=*/false);
  f.now += f.options.derive_patience;
  f.roll_call.Watch(f.now, /*started=*/false);
  CHECK_FALSE(f.derivation.Derive(f.now).failure);  // once more
  f.Refused(worker);
  CHECK_THAT(*f.derivation.Derive(f.now).failure, Contains("worker-1 can't take part: no such file"));
}

TEST_CASE("Data that two machines find wrong fail the job; data that one finds wrong do not at once") {
  Fixture f;
  const Member &one = f.Join(1, NODE_ROLE_WORKER, "a"), &other = f.Join(2, NODE_ROLE_WORKER, "b");
  f.Refused(one, /*fatal=*/true);
  CHECK_FALSE(f.derivation.Derive(f.now).failure);
  f.Refused(other, /*fatal=*/true);
  CHECK(*f.derivation.Derive(f.now).failure == "no such file");
}

TEST_CASE(
    "Users are told of an error in the data once: as the job's reason, or when the job goes on without") {
  Fixture f;
  const Member &one = f.Join(1, NODE_ROLE_WORKER, "a"), &other = f.Join(2, NODE_ROLE_WORKER, "b");
  f.Refused(one, /*fatal=*/true);
  CHECK_FALSE(f.derivation.Derive(f.now).failure);
  CHECK_FALSE(f.Said("no such file"));  // the other one is asked
  SECTION("another machine confirms it") {
    f.Refused(other, /*fatal=*/true);
    CHECK(f.derivation.Derive(f.now).failure);
    CHECK_FALSE(f.Said("no such file"));
  }
  SECTION("another has a good copy") {
    f.Plan(other);
    CHECK(f.Said("worker-1 can't take part: no such file"));
  }
  SECTION("nobody else can be asked now") {
    f.Refused(other);
    CHECK_FALSE(f.derivation.Derive(f.now).failure);
    CHECK(f.Said("worker-1 can't take part: no such file"));
  }
}

TEST_CASE("Users are not told that a worker can't take part when it has just read the data") {
  Fixture f;
  const Member& one = f.Join(1, NODE_ROLE_WORKER, "a");
  const NodeId other = f.Join(2, NODE_ROLE_WORKER, "b").id;
  f.Refused(one, /*fatal=*/true);
  CHECK_FALSE(f.derivation.Derive(f.now).failure);  // asks the other one, which dies when the first is due
  REQUIRE(f.derivation.deriver() == other);
  f.now += f.options.PauseAfter(0);
  f.members.Remove(other, &f.out);
  f.derivation.OnNodeLost(other);
  f.roll_call.OnNodeLost(other);
  CHECK_FALSE(f.derivation.Derive(f.now).failure);
  REQUIRE(f.derivation.deriver() == one.id);
  f.Plan(one);
  CHECK(f.Said("worker-1 has read the data"));
  CHECK_FALSE(f.Said("can't take part"));
  CHECK(f.roll_call.IsPrepared(one.id));
}

TEST_CASE("A plan that most workers contradict is derived again, once") {
  Fixture f;
  const Member& odd = f.Join(1, NODE_ROLE_WORKER);
  f.Plan(odd);
  for (uint64_t id : {2, 3}) f.Refused(f.Join(id, NODE_ROLE_WORKER), false, /*differs=*/true);
  f.derivation.DeriveAnewByMajority(f.now);
  CHECK_FALSE(f.job.has_plan());
  CHECK(f.derivation.deriver() == NodeId(2));
  CHECK_FALSE(f.roll_call.IsPrepared(odd.id));
  CHECK(f.Sent(1, Directive::kCloseJob).size() == 1);
  CHECK(f.history.interventions() == 1);
  f.Plan(odd);
  for (uint64_t id : {2, 3}) f.Refused(*f.members.Find(NodeId(id)), false, /*differs=*/true);
  f.derivation.DeriveAnewByMajority(f.now);
  CHECK(f.job.has_plan());
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
  f.derivation.OnArtifactLost(f.now, "unknown");
  f.derivation.DeriveLostArtifacts(f.now, view);
  CHECK(f.Offers(2) == 0);
  CHECK_FALSE(f.derivation.ExpectsArtifact(view));
  f.derivation.OnArtifactLost(f.now, "digest");
  f.derivation.DeriveLostArtifacts(f.now, view);
  CHECK(f.Sent(2, Directive::kPrepareJob).back().prepare_job().derivation() == 1);
  CHECK(f.derivation.rederiver() == idle.id);
  f.Plan(idle);  // another one
  CHECK(f.Said("worker-2 has different data than the job"));
  CHECK(f.derivation.ExpectsArtifact(view));
  f.derivation.DeriveLostArtifacts(f.now, view);
  CHECK(f.Offers(1) == 1);
  SECTION("a worker with slots can't do it either, and is not asked again") {
    f.Refused(*f.members.Find(NodeId(1)));
    f.Refused(idle);
    CHECK(f.derivation.ExpectsArtifact(view));  // from the idle one
    f.members.Remove(idle.id, &f.out);
    f.now += absl::Hours(1);
    f.derivation.DeriveLostArtifacts(f.now, view);
    CHECK(f.Offers(1) == 1);
    CHECK_FALSE(f.derivation.ExpectsArtifact(view));
    return;
  }
  f.Plan(*f.members.Find(NodeId(1)), plan);
  CHECK(f.Said("worker-1 has derived dataset again"));
  CHECK_FALSE(f.derivation.ExpectsArtifact(view));
  CHECK(Stored(f.derivation).derivations() == 1);
}

TEST_CASE("After a restart the deriver is known, until the job ends") {
  Fixture f;
  JobStateRecord record;
  record.set_deriver(3);
  f.derivation.Load(record);
  CHECK(f.derivation.deriver() == NodeId(3));
  f.derivation.Close();
  CHECK(Stored(f.derivation).deriver() == 0);
}

}  // namespace
}  // namespace shoal::scheduler
