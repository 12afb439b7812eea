#include "server/checkpoint_writer.h"

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "common/base/fake_executor.h"
#include "common/storage/fault_env.h"
#include "common/storage/test_dir.h"

namespace shoal::server {
namespace {

using Events = std::vector<std::string>;

constexpr uint64_t kSize = 16;  // elements of the only block

// Eight rounds; each even version may turn out to be the best.
std::shared_ptr<const ShardConfig> Job() {
  auto job = std::make_shared<ShardConfig>();
  job->job = JobId(1);
  job->length.rounds = 8;
  job->spec.mutable_evaluation()->mutable_every()->set_rounds(2);
  job->spec.mutable_evaluation()->set_keep_best(true);
  return job;
}

View MakeView(uint64_t number, uint64_t restore_id = 1) {
  View view;
  view.set_view(number);
  view.set_training_id(77);
  view.mutable_restore()->set_restore_id(restore_id);
  return view;
}

std::shared_ptr<ShardSnapshot> Snapshot(uint64_t version) {
  auto snapshot = std::make_shared<ShardSnapshot>();
  snapshot->restore_id = RestoreId(1);
  snapshot->version = Version(version);
  BlockSnapshot& block = snapshot->blocks.emplace_back();
  block.size = kSize;
  block.theta = FloatArray(new float[kSize](), [](const float* a) { delete[] a; });
  return snapshot;
}

// A writer, and a log of everything that it does.
class Disk {
 public:
  Disk() { writer->Begin(MakeView(1)); }
  ~Disk() { files->Stop(); }
  Events Take() { return std::exchange(events, {}); }

  FakeTime time;
  const TestDir dir;
  FaultEnv env{PosixEnv()};
  Events events;
  const std::unique_ptr<Executor> files = time.factory()("files");
  const std::unique_ptr<CheckpointWriter> writer = std::make_unique<CheckpointWriter>(MakeOptions());

 private:
  CheckpointWriter::Options MakeOptions() {
    CheckpointWriter::Options options;
    options.job = Job();
    options.self = NodeId(7);
    options.folder = dir.path();
    options.env = &env;
    options.files = files.get();
    options.report = [this](const NodeReport& report) {
      const ShardWritten& written = report.shard_written();
      const char* const what = written.error().empty() ? "wrote " : written.retried() ? "retries " : "lost ";
      events.push_back(absl::StrCat(what, written.version(), " of ", report.training_id()));
    };
    options.on_room = [this] { events.emplace_back("room"); };
    options.before_report = [this] { events.emplace_back("statistics"); };
    return options;
  }
};

TEST_CASE("A snapshot that is taken makes room; what was written is reported after its statistics") {
  Disk disk;
  disk.writer->Add(Snapshot(1));
  disk.writer->Add(Snapshot(3));
  CHECK(disk.Take().empty());
  disk.time.Run();
  CHECK(disk.Take() == Events{"room", "statistics", "wrote 1 of 77", "room", "statistics", "wrote 3 of 77"});
  disk.writer->RepeatReports();
  CHECK(disk.Take() == Events{"wrote 1 of 77", "wrote 3 of 77"});
}

TEST_CASE("An update that leads to a version which may be the best waits for room, others don't") {
  Disk disk;
  disk.writer->Add(Snapshot(2));
  CHECK(disk.writer->HasRoom(Version(4)));
  disk.writer->Add(Snapshot(4));
  CHECK_FALSE(disk.writer->HasRoom(Version(6)));
  CHECK(disk.writer->HasRoom(Version(5)));
  CHECK(disk.writer->HasRoom(Version(8)));  // the last one
  disk.time.Run();
  CHECK(disk.writer->HasRoom(Version(6)));
}

TEST_CASE("What is being written is reported, with its last progress") {
  Disk disk;
  CHECK_FALSE(disk.writer->writing());
  disk.writer->Add(Snapshot(8));
  REQUIRE(disk.writer->writing());
  CHECK(disk.writer->writing()->detail == "about to write; 1 snapshot waits, 0 MiB");
  CHECK(disk.writer->writing()->progress == disk.time.now());
  disk.env.SetRules({{"shard-", 0, 0, ENOSPC}});
  disk.time.Run();
  CHECK(disk.writer->writing()->detail == "can't write version 8, trying again");
  disk.env.SetRules({});
  disk.time.RunFor(absl::Seconds(1));
  CHECK_FALSE(disk.writer->writing());
}

TEST_CASE("On a full disk a version that may be the best gives way to the training after a minute") {
  Disk disk;
  disk.env.SetRules({{"shard-", 0, 0, ENOSPC}});
  for (const uint64_t version : {2, 4, 6}) {
    disk.writer->Add(Snapshot(version));
    disk.time.Run();
  }
  CHECK_FALSE(disk.writer->HasRoom(Version(2)));
  disk.time.RunFor(absl::Seconds(50));
  for (const std::string& event : disk.Take()) CHECK(event != "lost 2 of 77");
  disk.time.RunFor(absl::Seconds(16));
  const Events events = disk.Take();
  CHECK(std::count(events.begin(), events.end(), "lost 2 of 77") == 1);
}

TEST_CASE("The snapshot for which a full disk has no room counts among those that wait") {
  Disk disk;
  disk.env.SetRules({{"shard-", 0, 0, ENOSPC}});
  disk.writer->Add(Snapshot(2));
  CHECK(disk.writer->waiting() == 1);
  disk.time.Run();  // it is to be tried again
  CHECK(disk.writer->waiting() == 1);
  for (const uint64_t version : {3, 4, 5, 6, 7, 8}) disk.writer->Add(Snapshot(version));
  CHECK(disk.writer->waiting() == CheckpointWriter::kMaxSnapshots);
  disk.env.SetRules({});
  disk.time.RunFor(absl::Minutes(1));
  CHECK(disk.writer->waiting() == 0);
}

TEST_CASE("A new restore point drops what waits and past reports; a new view of the same one drops neither") {
  Disk disk;
  disk.writer->Add(Snapshot(1));
  disk.time.Run();
  disk.writer->Add(Snapshot(3));
  disk.Take();
  SECTION("another restore point") {
    disk.writer->Begin(MakeView(2, /*restore_id=*/2));
    disk.writer->RepeatReports();
    disk.writer->Add(Snapshot(5));  // of the first
    disk.time.Run();
    CHECK(disk.Take().empty());
  }
  SECTION("the same") {
    disk.writer->Begin(MakeView(2));
    disk.writer->RepeatReports();
    disk.time.Run();
    CHECK(disk.Take() == Events{"wrote 1 of 77", "room", "statistics", "wrote 3 of 77"});
  }
  CHECK_FALSE(disk.writer->writing());
}

TEST_CASE("Once it is closed nothing is written or reported") {
  Disk disk;
  disk.writer->Add(Snapshot(1));
  disk.writer->Close();
  disk.writer->Add(Snapshot(3));
  disk.writer->AddLost(*Snapshot(5), absl::ResourceExhaustedError("no memory"));
  disk.writer->RepeatReports();
  disk.time.RunFor(absl::Minutes(1));
  CHECK(disk.events.empty());
}

TEST_CASE("The reports of the last checkpoints are kept, and no more") {
  Disk disk;
  for (uint64_t version = 1; version <= CheckpointWriter::kMaxWritten + 20; ++version)
    disk.writer->AddLost(*Snapshot(version), absl::ResourceExhaustedError("no memory"));
  disk.Take();
  disk.writer->RepeatReports();
  const Events events = disk.Take();
  REQUIRE(events.size() == CheckpointWriter::kMaxWritten);
  CHECK(events.front() == "lost 21 of 77");
}

}  // namespace
}  // namespace shoal::server
