#include "worker/job_choice.h"

#include "catch2/catch.hpp"

namespace shoal::worker {
namespace {

PrepareJob Request(uint64_t job, bool derive = false) {
  PrepareJob request;
  request.set_job(job);
  request.set_derive(derive);
  request.mutable_plan()->set_rounds(10);
  return request;
}

JobPrepared Prepared(uint64_t job) {
  JobPrepared prepared;
  prepared.set_job(job);
  return prepared;
}

TEST_CASE("A late end of the previous job does not affect the preparation of the next one") {
  JobChoice choice;
  CHECK_FALSE(choice.OnPrepare(Request(1)));
  choice.OnPrepared(Request(1), Prepared(1));
  CHECK_FALSE(choice.OnPrepare(Request(2)));
  CHECK(choice.OnClose(1));  // job 1 is dropped
  CHECK(choice.Wants(Request(2)));
  CHECK_FALSE(choice.OnClose(1));  // again, for a report that crossed with the first one
  CHECK(choice.Wants(Request(2)));
  choice.OnPrepared(Request(2), Prepared(2));
  CHECK_FALSE(choice.OnClose(1));
  CHECK(choice.Holds(2));
}

TEST_CASE("The end of a job that is being prepared ends its preparation") {
  JobChoice choice;
  CHECK_FALSE(choice.OnPrepare(Request(1)));
  CHECK_FALSE(choice.OnClose(1));
  CHECK_FALSE(choice.Wants(Request(1)));
}

TEST_CASE("A repeated request is answered by the held job, or its preparation continues") {
  JobChoice choice;
  CHECK_FALSE(choice.OnPrepare(Request(1)));
  CHECK_FALSE(choice.OnPrepare(Request(1)));
  CHECK(choice.Wants(Request(1)));
  choice.OnPrepared(Request(1), Prepared(1));
  CHECK(choice.OnPrepare(Request(1)));
  CHECK_FALSE(choice.OnPrepare(Request(1, /*derive=*/true)));  // it was not derived here
}

TEST_CASE("A plan derived here is derived again when the scheduler has lost it") {
  JobChoice choice;
  JobPrepared derived = Prepared(1);
  derived.mutable_plan()->set_rounds(10);
  PrepareJob request = Request(1, /*derive=*/true);
  choice.OnPrepared(request, derived);
  CHECK(choice.OnPrepare(request));
  request.set_derivation(1);
  CHECK_FALSE(choice.OnPrepare(request));
  choice.OnPrepared(request, derived);
  CHECK(choice.OnPrepare(request));
  CHECK(choice.OnPrepare(Request(1)));  // then it is offered the plan
}

TEST_CASE("A plan derived here is dropped when the scheduler has another") {
  JobChoice choice;
  JobPrepared derived = Prepared(1);
  derived.mutable_plan()->set_rounds(11);
  choice.OnPrepared(Request(1, /*derive=*/true), derived);
  CHECK(choice.OnPrepare(Request(1, /*derive=*/true)));
  CHECK_FALSE(choice.OnPrepare(Request(1)));
  derived.mutable_plan()->set_rounds(10);
  choice.OnPrepared(Request(1, /*derive=*/true), derived);
  CHECK(choice.OnPrepare(Request(1)));
}

TEST_CASE("A prepared job does not answer another request of the same number") {
  const PrepareJob request = Request(1);
  PrepareJob other = request;
  SECTION("another spec") { other.mutable_spec()->set_name("other"); }
  SECTION("another plan") { other.mutable_plan()->set_rounds(11); }
  JobChoice choice;
  CHECK_FALSE(choice.OnPrepare(request));
  CHECK_FALSE(choice.OnPrepare(other));
  CHECK_FALSE(choice.Wants(request));
  CHECK(choice.Wants(other));
  CHECK_FALSE(choice.OnPrepare(request));
  choice.OnPrepared(request, Prepared(1));
  CHECK_FALSE(choice.OnPrepare(other));
  CHECK(choice.Wants(other));
}

}  // namespace
}  // namespace shoal::worker
