// Submitting and following a job whose scheduler goes away.
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "catch2/catch.hpp"
#include "common/base/signals.h"
#include "common/rpc/rpc.h"
#include "common/storage/file.h"
#include "common/storage/test_dir.h"
#include "tools/shoal/command_parts.h"
#include "tools/shoal/commands.h"
#include "tools/shoal/scheduler_client.h"

namespace shoal::tools {
namespace {

using Catch::Matchers::Contains;

// Knows one running job; nothing happens in it.
class FakeScheduler : public SchedulerService::Service {
 public:
  grpc::Status GetJob(grpc::ServerContext*, const GetJobRequest* request, Job* job) override {
    ++asked;
    job->set_job(request->job());
    job->set_submitted_unix_ms(submitted_unix_ms);
    return grpc::Status::OK;
  }
  grpc::Status WatchJob(grpc::ServerContext*, const WatchJobRequest*,
                        grpc::ServerWriter<JobEvent>*) override {
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the scheduler stops");
  }

  std::atomic<int64_t> submitted_unix_ms{1};
  std::atomic<int> asked{0};
};

std::unique_ptr<RpcServer> Serve(grpc::Service* service) {
  ServerOptions options;
  options.address = "127.0.0.1:0";
  options.services = {service};
  auto server = StartServer(options);
  INFO(server.status());
  REQUIRE(server.ok());
  return *std::move(server);
}

std::unique_ptr<StopSignal> InstallStop() {
  auto stop = StopSignal::Install();
  REQUIRE(stop.ok());
  return *std::move(stop);
}

// Follows job 1 of a scheduler. Tests may change each part first.
struct Fixture {
  FakeScheduler scheduler;
  std::unique_ptr<RpcServer> server = Serve(&scheduler);
  SchedulerClient client{server->address()};
  std::unique_ptr<StopSignal> stop = InstallStop();
  FollowOptions options;

  Fixture() {
    options.stop = stop.get();
    options.on_event = [](const JobEvent&) {};
  }
  absl::Status Follow() { return FollowJob(&client, JobId(1), options); }
};

// Fails with its disk's error, or as another program would, without Shoal's marks.
class FailingScheduler : public SchedulerService::Service {
 public:
  explicit FailingScheduler(bool shoal) : shoal_(shoal) {}
  grpc::Status SubmitJob(grpc::ServerContext*, const SubmitJobRequest*, SubmitJobResponse*) override {
    if (shoal_) return ToGrpcStatus(absl::UnknownError("resume_from: Input/output error"));
    return grpc::Status(grpc::StatusCode::UNKNOWN, "something else");
  }

 private:
  const bool shoal_;
};

TEST_CASE("An I/O error of the scheduler is reported as it is, and not taken for another program's answer") {
  for (bool shoal : {true, false}) {
    FailingScheduler scheduler(shoal);
    const auto server = Serve(&scheduler);
    SchedulerClient client(server->address());
    const absl::Status status = client.Submit(SubmitJobRequest()).status();
    INFO(status);
    CHECK(absl::IsUnknown(status) == shoal);
    CHECK((status.message() == "resume_from: Input/output error") == shoal);
    CHECK((status.message().find("is not a Shoal scheduler") == std::string::npos) == shoal);
  }
}

TEST_CASE("When no scheduler is there, users are told its address and what to do, and nothing of gRPC") {
  const absl::Status status = SchedulerClient("127.0.0.1:1").ListJobs().status();
  CHECK(absl::IsUnavailable(status));
  CHECK(status.message() ==
        "no scheduler answers at 127.0.0.1:1: start one with `shoal-scheduler`, or give its address with "
        "--scheduler HOST:PORT");
}

// Breaks off its clients' connections, as a scheduler that is killed does.
class DyingScheduler : public SchedulerService::Service {
 public:
  grpc::Status SubmitJob(grpc::ServerContext*, const SubmitJobRequest*, SubmitJobResponse*) override {
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "Socket closed");
  }
};

TEST_CASE("When a scheduler dies while it takes a job, users are told how to find out whether it has it") {
  DyingScheduler scheduler;
  const auto server = Serve(&scheduler);
  const std::string address = server->address();
  const absl::Status status = SchedulerClient(address).Submit(SubmitJobRequest()).status();
  CHECK(absl::IsUnavailable(status));
  CHECK(status.message() == absl::StrCat("the scheduler at ", address,
                                         " does not answer: Socket closed; `shoal jobs` shows whether it has "
                                         "the job"));
}

// Freezes when it is asked about a job; the user then presses Ctrl-C.
class FrozenScheduler : public SchedulerService::Service {
 public:
  grpc::Status SubmitJob(grpc::ServerContext*, const SubmitJobRequest*,
                         SubmitJobResponse* response) override {
    response->set_job(1);
    return grpc::Status::OK;
  }
  grpc::Status GetJob(grpc::ServerContext* context, const GetJobRequest*, Job*) override {
    kill(getpid(), SIGINT);
    while (!context->IsCancelled()) absl::SleepFor(absl::Milliseconds(1));
    return grpc::Status::CANCELLED;
  }
};

TEST_CASE("A stop ends a call that a scheduler does not answer, and no other call begins", "[follow]") {
  const std::unique_ptr<StopSignal> stop = InstallStop();
  FrozenScheduler scheduler;
  const auto server = Serve(&scheduler);
  SchedulerClient client(server->address(), stop.get());
  CHECK(absl::IsCancelled(client.GetJob(JobId(1)).status()));
  // Otherwise UNIMPLEMENTED.
  CHECK(absl::IsCancelled(client.ListJobs().status()));
}

TEST_CASE("Ctrl-C ends submit --wait at once, also while the scheduler is frozen", "[follow]") {
  const TestDir dir;
  REQUIRE(PosixEnv()
              ->WriteFileAtomic(dir / "job.yaml",
                                "name: test\ntask: text-classification\n"
                                "data: {files: [data.tsv], text: text, label: label}\n"
                                "train: {epochs: 1}\noptimizer: {learning_rate: 1e-3}\n")
              .ok());
  FrozenScheduler scheduler;
  const auto server = Serve(&scheduler);
  CLI::App app;
  CommandResult result;
  AddSubmit(&app, &result);
  app.parse(absl::StrCat("submit ", dir / "job.yaml", " --wait --scheduler ", server->address()));
  CHECK(result.status.ok());
  CHECK(result.exit_code == kExitInterrupted);
}

TEST_CASE("Following makes no call after a look during which a stop was requested", "[follow]") {
  Fixture fixture;
  fixture.options.look = [&] {
    fixture.stop->Request();
    return absl::OkStatus();
  };
  CHECK(absl::IsCancelled(fixture.Follow()));
  CHECK(fixture.scheduler.asked == 1);
}

TEST_CASE("Following ends when the scheduler does not come back, with its address", "[follow]") {
  Fixture fixture;
  fixture.options.look_every = absl::Milliseconds(20);
  fixture.options.patience = absl::Milliseconds(300);
  int looks = 0, silences = 0;
  fixture.options.look = [&] {
    if (++looks == 2) fixture.server.reset();
    return absl::OkStatus();
  };
  fixture.options.on_silence = [&](const std::string&) { ++silences; };
  const absl::Status status = fixture.Follow();
  CHECK(absl::IsUnavailable(status));
  CHECK_THAT(std::string(status.message()), Contains("no scheduler answers at " + fixture.client.address()));
  CHECK(silences == 1);
}

TEST_CASE("A job is not taken for another one of the same number in a new cluster", "[follow]") {
  Fixture fixture;
  fixture.options.look = [&] {
    fixture.scheduler.submitted_unix_ms = 2;
    return absl::OkStatus();
  };
  const absl::Status status = fixture.Follow();
  CHECK(absl::IsNotFound(status));
  CHECK_THAT(std::string(status.message()), Contains("has another job 1 now"));
}

}  // namespace
}  // namespace shoal::tools
