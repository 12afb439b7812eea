#include "scheduler/roll_call.h"

#include "catch2/catch.hpp"
#include "scheduler/roll_call_harness.h"

namespace shoal::scheduler {
namespace {

using Catch::Matchers::Contains;
using Fixture = RollCallHarness;
using Outcome = RollCall::RestoreOutcome;

TEST_CASE("The first view waits for as many nodes as the job wants") {
  Fixture f;
  const Member &worker = f.Join(1, NODE_ROLE_WORKER), &server = f.Join(2, NODE_ROLE_SERVER);
  f.Offer();
  CHECK(f.Sent(2, Directive::kPrepareJob).back().prepare_job().plan().rounds() == 20);
  f.roll_call.OnPrepared(worker.id);
  CHECK_THAT(*f.roll_call.NotReady(f.now, /*first=*/true)->reason,
             Contains("0 of 1 server and 1 of 1 worker are prepared"));
  CHECK(f.roll_call.Debtors() == std::vector<NodeId>{server.id});
  f.roll_call.OnPrepared(server.id);
  CHECK_FALSE(f.roll_call.NotReady(f.now, /*first=*/true));
  CHECK(f.roll_call.Debtors().empty());
}

TEST_CASE("The first view waits a while for nodes that are still preparing") {
  Fixture f;
  const Member &worker = f.Join(1, NODE_ROLE_WORKER), &server = f.Join(2, NODE_ROLE_SERVER);
  f.Join(3, NODE_ROLE_WORKER);
  f.Offer();
  f.roll_call.OnPrepared(worker.id);
  f.roll_call.OnPrepared(server.id);
  CHECK(f.roll_call.NotReady(f.now, /*first=*/true));
  CHECK_FALSE(f.roll_call.NotReady(f.now + f.options.settle, true));
}

TEST_CASE("After all servers were lost, a view waits for enough nodes as long as they may still come back") {
  Fixture f;
  f.job.mutable_spec()->mutable_cluster()->set_min_servers(2);
  const Member &worker = f.Join(1, NODE_ROLE_WORKER), &server = f.Join(2, NODE_ROLE_SERVER);
  f.Offer();
  f.roll_call.OnPrepared(worker.id);
  const absl::Duration patience = f.options.lease + f.options.settle;
  CHECK(f.roll_call.NotReady(f.now, /*first=*/false));
  CHECK(f.roll_call.NotReady(f.now + patience, false));  // without a server
  f.now += patience;
  f.roll_call.OnPrepared(server.id);
  CHECK_THAT(*f.roll_call.NotReady(f.now, false)->reason, Contains("1 of 2 servers and 1 of 1 worker"));
  CHECK_FALSE(f.roll_call.NotReady(f.now + patience, false));
  CHECK(f.roll_call.NotReady(f.now + patience, /*first=*/true));
  f.roll_call.OnViewBegun();
  f.now += 2 * patience;
  CHECK(f.roll_call.NotReady(f.now, false));
}

TEST_CASE("An offer is repeated if it is not answered, and in a new session") {
  Fixture f;
  f.Join(2, NODE_ROLE_WORKER);
  for (int i = 0; i < 2; ++i) f.Offer();
  CHECK(f.Offers(2) == 1);
  f.roll_call.OnSessionOpened(NodeId(2));
  f.Offer();
  CHECK(f.Offers(2) == 2);
  f.now += f.options.offer_again;
  f.roll_call.OfferPlan(f.now, /*except=*/NodeId(2));
  CHECK(f.Offers(2) == 2);
  f.Offer();
  CHECK(f.Offers(2) == 3);
}

TEST_CASE("A node that refuses is asked again after a pause, or at once if what it lacked is there again") {
  Fixture f;
  const Member& worker = f.Join(1, NODE_ROLE_WORKER);
  f.Offer();
  f.Refused(worker);
  CHECK(f.roll_call.TroubleText(worker.id) == "refused job 1: no such file");
  f.Offer();
  CHECK(f.Offers(1) == 1);
  SECTION("a pause") { f.now += f.options.PauseAfter(0); }
  SECTION("it is there again") { f.roll_call.RetryAll(); }
  f.Offer();
  CHECK(f.Offers(1) == 2);
}

TEST_CASE(
    "What a server finds wrong in the job fails it at once; what a worker does may be due to its data") {
  Fixture f;
  CHECK_FALSE(f.Refused(f.Join(1, NODE_ROLE_WORKER), /*fatal=*/true).failure);
  CHECK(*f.Refused(f.Join(2, NODE_ROLE_SERVER), /*fatal=*/true).failure == "no such file");
}

TEST_CASE("Failures of work are counted until a whole version clears them") {
  Fixture f;
  const Member& worker = f.Join(1, NODE_ROLE_WORKER);
  f.roll_call.OnPrepared(worker.id);
  CHECK(f.Refused(worker, false, /*at_work=*/true).work_failed);
  CHECK_THAT(f.roll_call.RefusalsText(), Contains("worker-1 failed 1 time in a row"));
  f.roll_call.OnPrepared(worker.id);
  View view;
  view.add_slots()->mutable_worker()->set_node_id(1);
  f.roll_call.OnProven(view);
  CHECK(f.roll_call.RefusalsText().empty());
}

TEST_CASE("Servers that can't load stand aside, until all have tried often and for long enough") {
  Fixture f;
  const Member &one = f.Join(1, NODE_ROLE_SERVER), &other = f.Join(2, NODE_ROLE_SERVER);
  for (const Member* server : {&one, &other}) f.roll_call.OnPrepared(server->id);
  const auto fail = [&](const Member& server, RestoreTrouble trouble) {
    return f.roll_call.OnNotLoaded(f.now, server.id, "error", trouble);
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
  CHECK_FALSE(f.roll_call.IsPrepared(one.id));
  f.now += f.options.derive_patience;
  CHECK(fail(one, trouble) == expected);
  if (GENERATE(true, false)) {
    f.roll_call.OnLoaded(other.id);
  } else {  // all of them are gone, and others with these ids have come
    for (const Member* server : {&one, &other}) f.roll_call.OnNodeLost(server->id);
  }
  CHECK(fail(one, trouble) == Outcome::kOthersTry);
}

TEST_CASE("While the scheduler is suspended, no server is waited for, nor storage") {
  Fixture f;
  const Member& server = f.Join(1, NODE_ROLE_SERVER);
  f.roll_call.OnPrepared(server.id);
  const auto fail = [&] {
    return f.roll_call.OnNotLoaded(f.now, server.id, "not mounted", RESTORE_TROUBLE_STORAGE);
  };
  for (uint32_t i = 0; i < kMaxAttempts; ++i) CHECK(fail() == Outcome::kOthersTry);
  f.now += absl::Hours(1);
  f.roll_call.Awake(absl::Hours(1));
  CHECK(fail() == Outcome::kOthersTry);
  f.now += f.options.storage_patience;
  CHECK(fail() == Outcome::kAllFailed);
}

TEST_CASE("After a restart the nodes of the view are prepared, until the job ends") {
  Fixture f;
  JobStateRecord record;
  record.mutable_view()->add_shards()->mutable_primary()->set_node_id(1);
  record.mutable_view()->add_slots()->mutable_worker()->set_node_id(2);
  f.roll_call.Load(f.now, record);
  CHECK(f.roll_call.CountPrepared() == 2);
  CHECK(f.roll_call.Close() == std::set<NodeId>{NodeId(1), NodeId(2)});
  CHECK(f.roll_call.CountPrepared() == 0);
}

}  // namespace
}  // namespace shoal::scheduler
