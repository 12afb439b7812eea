// How long a job waits for nodes that could take part, and when nobody is left who can.
#include "catch2/catch.hpp"
#include "scheduler/roll_call.h"
#include "scheduler/roll_call_harness.h"

namespace shoal::scheduler {
namespace {

using Catch::Matchers::Contains;
using Fixture = RollCallHarness;

// The node has answered the offer that it holds the job.
void Prepare(Fixture* f, const Member& node) {
  f->now += f->options.refused_again_longest;
  f->Offer();
  f->roll_call.OnPrepared(node.id);
  f->Watch();
}

void Lose(Fixture* f, NodeId node) {
  f->members.Remove(node, &f->out);
  f->roll_call.OnNodeLost(node);
  f->Watch();
}

void MakeSuspect(Fixture* f, NodeId node) {
  Heartbeat heartbeat;
  Activity& activity = *heartbeat.add_activities();
  activity.set_kind(ACTIVITY_COMPUTE);
  activity.set_job(1);
  for (double idle : {0.1, 1000.0, 1001.0}) {
    activity.set_idle_seconds(idle);
    f->watch.OnHeartbeat(f->now, node, heartbeat, f->members);
  }
  REQUIRE(f->watch.Suspect(node) != nullptr);
  f->Watch();
}

// Lets the node fail its work, or refuse the job, as often as it takes.
void MakeUnable(Fixture* f, const Member& node, bool at_work) {
  for (uint32_t i = 0; i < kMaxAttempts; ++i) {
    if (at_work) Prepare(f, node);
    f->Refused(node, /*fatal=*/false, at_work);
  }
  f->Watch();
}

bool NobodyCan(Fixture* f, absl::Duration later) {
  f->now += later;
  f->Watch();
  return f->roll_call.NobodyCan(NODE_ROLE_WORKER);
}

TEST_CASE(
    "When as many workers as the job wants fail at its work, it ends soon; fewer end it, but not soon") {
  Fixture f;
  const uint32_t wanted = GENERATE(1u, 2u);
  f.job.mutable_spec()->mutable_cluster()->set_min_workers(wanted);
  const Member& worker = f.Join(1, NODE_ROLE_WORKER);
  MakeUnable(&f, worker, /*at_work=*/true);
  CHECK_FALSE(NobodyCan(&f, f.options.derive_patience / 2));
  CHECK(NobodyCan(&f, f.options.derive_patience) == (wanted == 1));
  CHECK(NobodyCan(&f, f.options.storage_patience));
  CHECK_THAT(*f.roll_call.Hopeless(), Contains("no worker can do the work; worker-1"));
  // It is trying once more: the job does not lack workers.
  Prepare(&f, worker);
  CHECK_FALSE(f.roll_call.Hopeless());
}

TEST_CASE("A node that has long been unable does not shorten how long those that could are waited for") {
  Fixture f;
  const Member &bystander = f.Join(1, NODE_ROLE_WORKER), &worker = f.Join(2, NODE_ROLE_WORKER);
  MakeUnable(&f, bystander, /*at_work=*/GENERATE(false, true));
  Prepare(&f, worker);
  const Member& server = f.Join(3, NODE_ROLE_SERVER);
  MakeUnable(&f, server, /*at_work=*/false);
  CHECK_FALSE(NobodyCan(&f, absl::Hours(1)));
  const NodeId gone = worker.id;
  const int how = GENERATE(0, 1);
  if (how == 0) {
    f.members.Remove(gone, &f.out);
    f.roll_call.OnNodeLost(gone);
  } else {
    f.members.Leaving(f.members.Find(gone), &f.out);
  }
  CHECK_FALSE(NobodyCan(&f, absl::ZeroDuration()));
  CHECK_FALSE(NobodyCan(&f, f.options.storage_patience - absl::Seconds(1)));
  SECTION("then the job fails") { CHECK(NobodyCan(&f, absl::Seconds(1))); }
  SECTION("while the scheduler is suspended nobody is waited for") {
    f.now += absl::Hours(1);
    f.roll_call.Awake(absl::Hours(1));
    CHECK_FALSE(NobodyCan(&f, absl::ZeroDuration()));
    CHECK(NobodyCan(&f, absl::Seconds(1)));
  }
  SECTION("one that comes may be able; that it has come does not start the wait again") {
    const Member& another = f.Join(4, NODE_ROLE_WORKER);
    CHECK_FALSE(NobodyCan(&f, absl::Seconds(2)));
    MakeUnable(&f, another, /*at_work=*/false);
    CHECK(NobodyCan(&f, f.options.derive_patience));
  }
  SECTION("nobody is waited for as long as one is able") {
    Prepare(&f, f.Join(4, NODE_ROLE_WORKER));
    CHECK_FALSE(NobodyCan(&f, absl::Hours(1)));
  }
}

TEST_CASE("Workers that only refuse end a job that others worked on, but not soon") {
  Fixture f;
  MakeUnable(&f, f.Join(1, NODE_ROLE_WORKER), /*at_work=*/false);
  CHECK_FALSE(NobodyCan(&f, 2 * f.options.derive_patience));
  CHECK(NobodyCan(&f, f.options.storage_patience));
  CHECK_THAT(*f.roll_call.Hopeless(), Contains("no worker can take part; worker-1"));
}

TEST_CASE("As long as a worker hangs, is preparing, or nobody at all is there, no patience ends") {
  Fixture f;
  const NodeId bystander = f.Join(1, NODE_ROLE_WORKER).id, worker = f.Join(2, NODE_ROLE_WORKER).id;
  MakeUnable(&f, *f.members.Find(bystander), /*at_work=*/false);
  Prepare(&f, *f.members.Find(worker));
  f.options.fixed_nodes = GENERATE(false, true);
  SECTION("it hangs") { MakeSuspect(&f, worker); }
  SECTION("it is preparing") {
    f.roll_call.DropAll();
    f.Offer();
  }
  SECTION("nobody is there") {
    Lose(&f, worker);
    f.now += absl::Seconds(1);
    Lose(&f, bystander);
  }
  CHECK_FALSE(NobodyCan(&f, absl::Hours(1)));
  if (f.members.Find(worker) != nullptr) {  // it is restarted
    Lose(&f, worker);
    CHECK_FALSE(NobodyCan(&f, absl::Seconds(10)));
  } else {  // the one that was unable comes first
    MakeUnable(&f, f.Join(3, NODE_ROLE_WORKER), /*at_work=*/false);
    CHECK_FALSE(NobodyCan(&f, f.options.fixed_nodes ? absl::ZeroDuration() : absl::Seconds(10)));
  }
}

TEST_CASE("Whether a worker was lost before another one became unable, or after it, makes no difference") {
  Fixture f;
  const Member &failing = f.Join(1, NODE_ROLE_WORKER), &worker = f.Join(2, NODE_ROLE_WORKER);
  Prepare(&f, worker);
  const NodeId gone = worker.id;
  const bool before = GENERATE(true, false);
  if (before) Lose(&f, gone);
  MakeUnable(&f, failing, /*at_work=*/true);
  if (!before) Lose(&f, gone);
  CHECK_FALSE(NobodyCan(&f, f.options.storage_patience - absl::Seconds(1)));
  CHECK(NobodyCan(&f, absl::Seconds(1)));
}

TEST_CASE("A job that has not started waits for as many workers as it wants for any time") {
  Fixture f;
  f.started = false;
  f.job.mutable_spec()->mutable_cluster()->set_min_workers(2);
  const NodeId gone = f.Join(1, NODE_ROLE_WORKER).id;
  Prepare(&f, *f.members.Find(gone));
  MakeUnable(&f, f.Join(2, NODE_ROLE_WORKER), /*at_work=*/false);
  CHECK_FALSE(NobodyCan(&f, absl::Hours(1)));
  Lose(&f, gone);
  CHECK_FALSE(NobodyCan(&f, absl::Hours(1)));
  // Another one refuses: it gets as long as any.
  const Member& another = f.Join(3, NODE_ROLE_WORKER);
  CHECK_FALSE(NobodyCan(&f, absl::Seconds(1)));
  MakeUnable(&f, another, /*at_work=*/false);
  CHECK_FALSE(NobodyCan(&f, f.options.derive_patience / 2));
  CHECK(NobodyCan(&f, f.options.derive_patience));
}

TEST_CASE("A failure followed by refusals shows no more than refusals do") {
  Fixture f;
  const Member& worker = f.Join(1, NODE_ROLE_WORKER);
  Prepare(&f, worker);
  f.Refused(worker, /*fatal=*/false, /*at_work=*/true);
  for (int i = 0; i < 2; ++i) {
    f.now += f.options.refused_again_longest;
    f.Offer();
    f.Refused(worker);
  }
  CHECK_FALSE(NobodyCan(&f, absl::ZeroDuration()));
  CHECK_FALSE(NobodyCan(&f, f.options.storage_patience - absl::Seconds(1)));
  CHECK(NobodyCan(&f, absl::Seconds(1)));
}

TEST_CASE("Where no other nodes will come, the job fails at once; those that could have a moment to return") {
  Fixture f;
  f.options.fixed_nodes = true;
  f.options.derive_patience = absl::ZeroDuration();
  const Member &one = f.Join(1, NODE_ROLE_WORKER), &other = f.Join(2, NODE_ROLE_WORKER);
  f.started = GENERATE(false, true);
  SECTION("all refuse") {
    MakeUnable(&f, one, /*at_work=*/false);
    CHECK_FALSE(NobodyCan(&f, absl::Hours(1)));  // the other one has not answered
    MakeUnable(&f, other, /*at_work=*/false);
    CHECK(NobodyCan(&f, absl::ZeroDuration()));
  }
  SECTION("both refuse in turn, fewer than a job that goes on once had") {
    f.job.mutable_spec()->mutable_cluster()->set_min_workers(3);
    for (const Member* node : {&one, &other}) MakeUnable(&f, *node, /*at_work=*/false);
    CHECK_FALSE(NobodyCan(&f, f.options.lease));
    CHECK(NobodyCan(&f, absl::Seconds(30)));
  }
  SECTION("all refuse after a restart of the scheduler, which knows another one from its store") {
    JobStateRecord record;
    record.mutable_view()->add_slots()->mutable_worker()->set_node_id(other.id.value());
    f.roll_call.Load(f.now, record);
    MakeUnable(&f, one, /*at_work=*/false);
    CHECK_FALSE(NobodyCan(&f, absl::Hours(1)));
    Lose(&f, other.id);
    CHECK_FALSE(NobodyCan(&f, f.options.lease));
    CHECK(NobodyCan(&f, absl::Seconds(30)));
  }
  SECTION("one refuses, and the other is lost") {
    Prepare(&f, other);
    MakeUnable(&f, one, /*at_work=*/false);
    const NodeId gone = other.id;
    f.members.Remove(gone, &f.out);
    f.roll_call.OnNodeLost(gone);
    CHECK_FALSE(NobodyCan(&f, absl::ZeroDuration()));
    CHECK_FALSE(NobodyCan(&f, f.options.lease));
    CHECK(NobodyCan(&f, absl::Seconds(30)));
  }
}

TEST_CASE(
    "Where no other nodes will come, a job that can't have as many as it wants does not wait for them") {
  Fixture f;
  f.started = false;
  f.options.fixed_nodes = GENERATE(true, false);
  f.job.mutable_spec()->mutable_cluster()->set_min_workers(2);
  Prepare(&f, f.Join(1, NODE_ROLE_WORKER));
  MakeUnable(&f, f.Join(2, NODE_ROLE_WORKER), /*at_work=*/false);
  CHECK_FALSE(NobodyCan(&f, f.options.lease));
  CHECK(NobodyCan(&f, absl::Hours(1)) == f.options.fixed_nodes);
  if (f.options.fixed_nodes)
    CHECK(*f.roll_call.Hopeless() ==
          "only 1 of 2 workers can take part; worker-2 can't take part: no such file");
}

TEST_CASE("That a worker could not derive the plan does not show that it can't hold it") {
  Fixture f;
  f.started = false;
  f.options.fixed_nodes = true;
  f.job.mutable_spec()->mutable_cluster()->set_min_workers(2);
  const Member& reader = f.Join(1, NODE_ROLE_WORKER);
  MakeUnable(&f, f.Join(2, NODE_ROLE_WORKER), /*at_work=*/false);
  f.roll_call.AskToDerive(f.now, reader, /*derivation=*/0);
  f.now += absl::Hours(1);
  f.Watch();
  f.roll_call.OnPrepared(reader.id);
  f.roll_call.OnPlan();
  CHECK_FALSE(NobodyCan(&f, absl::ZeroDuration()));
  f.Offer();
  CHECK(f.Offers(2) == 1);
  CHECK_FALSE(NobodyCan(&f, absl::Hours(1)));
}

// Others that join again and again, work or not, and are lost: what an operating system restarts for ever.
TEST_CASE("Workers that come and are lost again don't keep a job alive in which nothing is completed") {
  Fixture f;
  const bool at_work = GENERATE(true, false);
  MakeUnable(&f, f.Join(1, NODE_ROLE_WORKER), at_work);
  const bool holds = GENERATE(true, false);
  bool ended = false;
  const absl::Time begin = f.now;
  for (uint64_t id = 2; !ended && f.now - begin < absl::Hours(2); ++id) {
    const Member& another = f.Join(id, NODE_ROLE_WORKER);
    if (holds) f.roll_call.OnPrepared(another.id);
    CHECK_FALSE(NobodyCan(&f, absl::Seconds(2)));
    Lose(&f, NodeId(id));
    ended = NobodyCan(&f, absl::Seconds(6));
  }
  CHECK(ended);
  CHECK(f.now - begin >= f.options.storage_patience);
  CHECK(f.now - begin < 2 * f.options.storage_patience);
}

TEST_CASE("A new version forgets how long nobody was able; one that is recomputed does not") {
  Fixture f;
  f.roll_call.OnVersion(Version(5));
  const NodeId gone = f.Join(2, NODE_ROLE_WORKER).id;
  Prepare(&f, *f.members.Find(gone));
  MakeUnable(&f, f.Join(1, NODE_ROLE_WORKER), /*at_work=*/true);
  Lose(&f, gone);
  CHECK_FALSE(NobodyCan(&f, f.options.storage_patience / 2));
  const bool further = GENERATE(true, false);
  f.roll_call.OnVersion(Version(further ? 6 : 5));
  f.Watch();
  CHECK(NobodyCan(&f, f.options.storage_patience / 2) == !further);
}

TEST_CASE("One that has held the job and hangs is not given up, and the reason names it") {
  Fixture f;
  const NodeId bystander = f.Join(1, NODE_ROLE_WORKER).id, worker = f.Join(2, NODE_ROLE_WORKER).id;
  Prepare(&f, *f.members.Find(worker));
  MakeUnable(&f, *f.members.Find(bystander), /*at_work=*/GENERATE(true, false));
  f.roll_call.DropAll();
  f.Offer();
  MakeSuspect(&f, worker);
  CHECK_FALSE(NobodyCan(&f, absl::Hours(1)));
  CHECK_THAT(*f.roll_call.NotReady(f.now, /*first=*/false)->reason,
             Contains("; worker-2 has shown no progress in computing"));
  // One that has never held it may never answer.
  Lose(&f, worker);
  const NodeId another = f.Join(3, NODE_ROLE_WORKER).id;
  f.Offer();
  MakeSuspect(&f, another);
  CHECK_FALSE(NobodyCan(&f, f.options.storage_patience - absl::Seconds(1)));
  CHECK(NobodyCan(&f, absl::Seconds(1)));
}

TEST_CASE("One that has not held the job yet is waited for just as well when it is lost, leaves or hangs") {
  Fixture f;
  f.started = GENERATE(false, true);
  MakeUnable(&f, f.Join(1, NODE_ROLE_WORKER), /*at_work=*/f.started);
  const NodeId worker = f.Join(2, NODE_ROLE_WORKER).id;
  f.Offer();
  CHECK_FALSE(NobodyCan(&f, absl::Hours(1)));
  const int how = GENERATE(0, 1, 2);
  if (how == 0) Lose(&f, worker);
  if (how == 1) f.members.Leaving(f.members.Find(worker), &f.out);
  if (how == 2) MakeSuspect(&f, worker);
  CHECK_FALSE(NobodyCan(&f, absl::ZeroDuration()));
  CHECK_FALSE(NobodyCan(&f, f.options.storage_patience - absl::Seconds(1)));
  CHECK(NobodyCan(&f, absl::Seconds(1)));
}

TEST_CASE("Absences of one that always comes back don't add up, if it holds the job in between for long") {
  Fixture f;
  MakeUnable(&f, f.Join(1, NODE_ROLE_WORKER), /*at_work=*/GENERATE(false, true));
  const absl::Duration held = GENERATE(absl::Seconds(20), absl::Hours(3));
  bool ended = false;
  for (uint64_t id = 2; !ended && id < 12; ++id) {
    Prepare(&f, f.Join(id, NODE_ROLE_WORKER));
    for (int i = 0; i < 10; ++i) CHECK_FALSE(NobodyCan(&f, held / 10));
    Lose(&f, NodeId(id));
    ended = NobodyCan(&f, absl::Minutes(3));
  }
  CHECK(ended == (held < f.options.storage_patience));
}

TEST_CASE("A worker that a restarted scheduler knows from its store is waited for") {
  Fixture f;
  const NodeId worker = f.Join(2, NODE_ROLE_WORKER).id;
  JobStateRecord record;
  record.mutable_view()->add_slots()->mutable_worker()->set_node_id(worker.value());
  f.roll_call.Load(f.now, record);
  MakeUnable(&f, f.Join(1, NODE_ROLE_WORKER), /*at_work=*/true);
  Lose(&f, worker);
  CHECK_FALSE(NobodyCan(&f, f.options.storage_patience - absl::Seconds(1)));
  CHECK(NobodyCan(&f, absl::Seconds(1)));
}

TEST_CASE("One that failed, tries once more and is lost meanwhile is waited for") {
  Fixture f;
  MakeUnable(&f, f.Join(1, NODE_ROLE_WORKER), /*at_work=*/true);
  const NodeId worker = f.Join(2, NODE_ROLE_WORKER).id;
  MakeUnable(&f, *f.members.Find(worker), /*at_work=*/true);
  Prepare(&f, *f.members.Find(worker));
  CHECK_FALSE(NobodyCan(&f, GENERATE(absl::Seconds(20), absl::Hours(1))));
  Lose(&f, worker);
  CHECK_FALSE(NobodyCan(&f, f.options.derive_patience));
  CHECK(NobodyCan(&f, f.options.storage_patience));
}

TEST_CASE("A worker that fails again and again ends the job, however long each attempt takes") {
  Fixture f;
  const Member& worker = f.Join(1, NODE_ROLE_WORKER);
  const absl::Duration takes = GENERATE(absl::Minutes(1), absl::Minutes(9), absl::Minutes(11));
  const bool hangs = GENERATE(false, true);
  int failures = 0;
  for (bool ended = false; !ended; ++failures) {
    REQUIRE(failures < 10);
    Prepare(&f, worker);
    if (hangs) MakeSuspect(&f, worker.id);
    for (int i = 0; i < 10; ++i) CHECK_FALSE(f.roll_call.Hopeless());
    f.now += takes;
    f.Watch();
    f.Refused(worker, /*fatal=*/false, /*at_work=*/true);
    ended = NobodyCan(&f, f.options.PauseAfter(2));
  }
  // While it hangs it may recover.
  CHECK(failures == (hangs ? Approx(6).margin(2) : Approx(4)));
}

TEST_CASE("Versions that are computed once more forgive, but not from ever more restore points") {
  Fixture f;
  f.roll_call.OnVersion(Version(9));
  const Member& worker = f.Join(1, NODE_ROLE_WORKER);
  uint64_t view_number = 1;
  for (bool ended = false; !ended; ++view_number) {
    REQUIRE(view_number < 50);
    Prepare(&f, worker);
    View view;
    view.set_view(3 * view_number);
    view.mutable_restore()->set_restore_id(view_number);
    view.add_slots()->mutable_worker()->set_node_id(1);
    for (int i = 0; i < 5; ++i) f.roll_call.OnProven(view);
    f.Refused(worker, /*fatal=*/false, /*at_work=*/true);
    f.Watch();
    ended = NobodyCan(&f, f.options.derive_patience);
    if (view_number == 20) f.roll_call.OnVersion(Version(10));
  }
  CHECK(view_number > 8);
  CHECK(view_number < 16);
}

TEST_CASE("In any number of views from one restore point versions forgive failures") {
  Fixture f;
  f.roll_call.OnVersion(Version(90));
  const Member& worker = f.Join(1, NODE_ROLE_WORKER);
  for (uint64_t number = 1; number < 30; ++number) {
    Prepare(&f, worker);
    View view;
    view.set_view(number);
    view.mutable_restore()->set_restore_id(2);
    view.add_slots()->mutable_worker()->set_node_id(1);
    f.roll_call.OnProven(view);
    f.Refused(worker, /*fatal=*/false, /*at_work=*/true);
    f.Watch();
    CHECK_FALSE(NobodyCan(&f, f.options.derive_patience));
  }
}

TEST_CASE(
    "One that refused, and is trying once more, is waited for as long as it makes progress, and then hangs") {
  Fixture f;
  f.started = false;
  const Member& worker = f.Join(1, NODE_ROLE_WORKER);
  MakeUnable(&f, worker, /*at_work=*/false);
  f.now += f.options.PauseAfter(3);
  f.Watch();
  f.Offer();
  Heartbeat heartbeat;
  Activity& activity = *heartbeat.add_activities();
  activity.set_kind(ACTIVITY_DERIVE);
  activity.set_job(1);
  f.watch.OnHeartbeat(f.now, worker.id, heartbeat, f.members);
  f.Watch();
  CHECK_FALSE(NobodyCan(&f, absl::Minutes(20)));
  MakeSuspect(&f, worker.id);
  CHECK_FALSE(NobodyCan(&f, f.options.derive_patience));
  CHECK(NobodyCan(&f, f.options.storage_patience));
}

TEST_CASE("A slot that is evaluated forgets how long nobody was able") {
  Fixture f;
  MakeUnable(&f, f.Join(1, NODE_ROLE_WORKER), /*at_work=*/true);
  const NodeId worker = f.Join(2, NODE_ROLE_WORKER).id;
  Prepare(&f, *f.members.Find(worker));
  Lose(&f, worker);
  CHECK_FALSE(NobodyCan(&f, f.options.storage_patience / 2));
  f.roll_call.OnEvaluated(worker);
  f.Watch();
  CHECK_FALSE(NobodyCan(&f, f.options.storage_patience - absl::Seconds(1)));
}

TEST_CASE(
    "One that was lost shortly before the plan came, or before a restart of the scheduler, is waited for") {
  Fixture f;
  SECTION("the plan came") {
    const NodeId gone = f.Join(2, NODE_ROLE_WORKER).id;
    Lose(&f, gone);
    f.now += absl::Seconds(10);
    f.roll_call.OnPlan();
  }
  SECTION("a restart") {
    f.roll_call.Load(f.now, JobStateRecord());
    f.Watch();
  }
  MakeUnable(&f, f.Join(1, NODE_ROLE_WORKER), /*at_work=*/true);
  CHECK_FALSE(NobodyCan(&f, f.options.derive_patience));
  CHECK(NobodyCan(&f, f.options.storage_patience));
}

TEST_CASE("That another one failed long ago does not shorten the patience with one that begins to refuse") {
  Fixture f;
  const Member& worker = f.Join(2, NODE_ROLE_WORKER);
  if (GENERATE(true, false)) MakeUnable(&f, f.Join(1, NODE_ROLE_WORKER), /*at_work=*/true);
  Prepare(&f, worker);
  CHECK_FALSE(NobodyCan(&f, absl::Hours(1)));
  f.Refused(worker, /*fatal=*/false, /*at_work=*/true);  // stale file handle
  for (int i = 0; i < 2; ++i) {                          // its storage is gone
    f.now += f.options.PauseAfter(3);
    f.Offer();
    f.Refused(worker);
    f.Watch();
  }
  CHECK_THAT(f.roll_call.RefusalsText(),
             Contains("worker-2 failed 1 time in a row: no such file, then refused"));
  CHECK_FALSE(NobodyCan(&f, absl::ZeroDuration()));
  CHECK_FALSE(NobodyCan(&f, f.options.storage_patience - absl::Seconds(1)));
  CHECK(NobodyCan(&f, absl::Seconds(1)));
}

TEST_CASE("A worker whose session is being renewed may still do the work") {
  Fixture f;
  const Member &broken = f.Join(1, NODE_ROLE_WORKER), &worker = f.Join(2, NODE_ROLE_WORKER);
  MakeUnable(&f, broken, /*at_work=*/true);
  Prepare(&f, worker);
  f.members.SessionBroken(f.now, f.members.Find(worker.id));
  CHECK_FALSE(NobodyCan(&f, f.options.storage_patience));
}

TEST_CASE("A worker that tries once more and hangs is for a person, who may restart it") {
  Fixture f;
  MakeUnable(&f, f.Join(1, NODE_ROLE_WORKER), /*at_work=*/true);
  const NodeId worker = f.Join(2, NODE_ROLE_WORKER).id;
  MakeUnable(&f, *f.members.Find(worker), /*at_work=*/true);
  Prepare(&f, *f.members.Find(worker));
  MakeSuspect(&f, worker);
  CHECK_FALSE(NobodyCan(&f, absl::Hours(1)));
  SECTION("restarted") { Lose(&f, worker); }
  SECTION("all drop the job") { f.roll_call.DropAll(); }
  // The pause before the further attempt counts.
  const absl::Duration left = f.options.storage_patience - f.options.refused_again_longest;
  CHECK_FALSE(NobodyCan(&f, absl::ZeroDuration()));
  CHECK_FALSE(NobodyCan(&f, left - absl::Seconds(1)));
  CHECK(NobodyCan(&f, absl::Seconds(2)));
}

TEST_CASE(
    "A failure that is reported again in a new session, after the worker says that it holds the job, is "
    "one") {
  Fixture f;
  const Member& worker = f.Join(1, NODE_ROLE_WORKER);
  Prepare(&f, worker);
  f.Refused(worker, /*fatal=*/false, /*at_work=*/true);
  for (int session = 0; session < 5; ++session) {
    f.now += absl::Seconds(session);  // also after the pause
    f.roll_call.OnSessionOpened(worker.id);
    f.Offer();
    f.roll_call.OnPrepared(worker.id);
    f.Refused(worker, /*fatal=*/false, /*at_work=*/true, f.views);
  }
  CHECK_THAT(f.roll_call.RefusalsText(), Contains("failed 1 time in a row"));
  Prepare(&f, worker);  // what comes now is another one
  f.Refused(worker, /*fatal=*/false, /*at_work=*/true);
  CHECK_THAT(f.roll_call.RefusalsText(), Contains("failed 2 times in a row"));
}

TEST_CASE("A worker of the stored view has held the job") {
  Fixture f;
  const NodeId worker = f.Join(2, NODE_ROLE_WORKER).id;
  JobStateRecord record;
  record.mutable_view()->add_slots()->mutable_worker()->set_node_id(worker.value());
  f.roll_call.Load(f.now, record);
  f.Watch();
  MakeUnable(&f, f.Join(1, NODE_ROLE_WORKER), /*at_work=*/true);
  f.Refused(*f.members.Find(worker), /*fatal=*/false, /*at_work=*/true);
  f.now += absl::Seconds(2);
  f.Offer();
  MakeSuspect(&f, worker);
  CHECK_FALSE(NobodyCan(&f, absl::Hours(1)));
}

TEST_CASE("A restart long before a job's turn does not count as one then") {
  Fixture f;
  f.roll_call.Load(f.now, JobStateRecord());
  f.now += absl::Hours(3);
  MakeUnable(&f, f.Join(1, NODE_ROLE_WORKER), /*at_work=*/true);
  CHECK_FALSE(NobodyCan(&f, f.options.derive_patience - absl::Seconds(1)));
  CHECK(NobodyCan(&f, absl::Seconds(2)));
}

}  // namespace
}  // namespace shoal::scheduler
