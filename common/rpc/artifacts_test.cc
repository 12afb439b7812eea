#include "common/rpc/artifacts.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "catch2/catch.hpp"
#include "common/base/sha256.h"
#include "common/rpc/artifact_chunks.h"
#include "common/rpc/rpc.h"
#include "common/storage/test_dir.h"

namespace shoal {
namespace {

// The part of a scheduler that keeps artifacts.
class ArtifactService : public SchedulerService::Service {
 public:
  explicit ArtifactService(const std::string& folder) : folder_(PosixEnv(), folder) {
    ServerOptions options;
    options.address = "127.0.0.1:0";
    options.services = {this};
    auto server = StartServer(options);
    REQUIRE(server.ok());
    server_ = *std::move(server);
  }
  ~ArtifactService() override { server_->Shutdown(absl::Milliseconds(200)); }

  grpc::Status PutArtifact(grpc::ServerContext*, grpc::ServerReader<ArtifactChunk>* reader,
                           PutArtifactResponse*) override {
    return ToGrpcStatus(ReceiveArtifact(&folder_, [&](ArtifactChunk* chunk) { return reader->Read(chunk); }));
  }
  grpc::Status GetArtifact(grpc::ServerContext*, const GetArtifactRequest* request,
                           grpc::ServerWriter<ArtifactChunk>* writer) override {
    ++fetches_;
    if (!PosixEnv()->FileExists(folder_.PathOf(request->sha256())))
      return {grpc::StatusCode::NOT_FOUND, "none"};
    ArtifactChunk chunk;
    chunk.set_data(*PosixEnv()->ReadFile(folder_.PathOf(request->sha256())));
    writer->Write(chunk);
    return grpc::Status::OK;
  }

  std::string address() const { return server_->address(); }
  const ArtifactFolder& folder() const { return folder_; }
  int fetches() const { return fetches_; }

 private:
  ArtifactFolder folder_;
  std::atomic<int> fetches_{0};
  std::unique_ptr<RpcServer> server_;
};

constexpr uint64_t kMaxBytes = 10;  // of a node's artifacts

struct Cluster {
  std::unique_ptr<ArtifactStore> NewStore(const std::string& name) const {
    return std::make_unique<ArtifactStore>(ArtifactStore::Options{
        PosixEnv(), dir / name, NewChannel(scheduler.address()), absl::Seconds(10), kMaxBytes});
  }

  const TestDir dir;
  ArtifactService scheduler{dir / "scheduler"};
};

}  // namespace

TEST_CASE("A cached artifact that has been damaged is fetched again before it is used") {
  Cluster cluster;
  const auto put = cluster.NewStore("first")->Put("dataset", "abcdef");
  REQUIRE(put.ok());
  const auto store = cluster.NewStore("second");
  const auto path = store->Fetch(*put);
  REQUIRE(path.ok());
  REQUIRE(store->Fetch(*put).ok());
  CHECK(cluster.scheduler.fetches() == 1);
  for (const char* damaged : {"abcdeg", "abc", ""}) {
    REQUIRE(PosixEnv()->WriteFileAtomic(*path, damaged).ok());
    REQUIRE(store->Fetch(*put).ok());
    CHECK(*PosixEnv()->ReadFile(*path) == "abcdef");
  }
  CHECK(cluster.scheduler.fetches() == 4);
}

TEST_CASE("Fetching an artifact says when the scheduler's copy is damaged") {
  Cluster cluster;
  const auto put = cluster.NewStore("first")->Put("dataset", "abcdef");
  REQUIRE(put.ok());
  const auto store = cluster.NewStore("second");
  for (const char* damaged : {"abcdeg", "abc", "abcdefg"}) {
    REQUIRE(PosixEnv()->WriteFileAtomic(cluster.scheduler.folder().PathOf(put->sha256()), damaged).ok());
    const absl::Status status = store->Fetch(*put).status();
    CHECK(absl::IsDataLoss(status));
    CHECK_THAT(std::string(status.message()), Catch::Matchers::Contains("scheduler's copy is damaged"));
  }
  CHECK(PosixEnv()->ListDir(cluster.dir / "second")->empty());
  // A node with an intact copy repairs it.
  REQUIRE(cluster.NewStore("first")->Put("dataset", "abcdef").ok());
  CHECK(store->Fetch(*put).ok());
}

TEST_CASE("A node has no more artifacts than it may: those used longest ago make room for what a job wants") {
  Cluster cluster;
  const auto all = cluster.NewStore("first");
  std::vector<Artifact> put;
  for (const char* bytes : {"aaaa", "bbbb", "cccc", "dddddd", "eeeeee"})
    put.push_back(*all->Put("dataset", bytes));
  const auto store = cluster.NewStore("second"), other = cluster.NewStore("second");
  const auto have = [&](const std::vector<int>& wanted) {
    std::vector<Artifact> artifacts;
    for (int i : wanted) artifacts.push_back(put[i]);
    store->MakeRoom(artifacts);
    for (const Artifact& artifact : artifacts) REQUIRE(store->Fetch(artifact).ok());
    std::string here;  // the first letters of all files
    const auto names = PosixEnv()->ListDir(cluster.dir / "second");
    for (const std::string& name : *names)
      here += PosixEnv()->ReadFile(JoinPath(cluster.dir / "second", name))->front();
    std::sort(here.begin(), here.end());
    return here;
  };
  CHECK(have({0, 1}) == "ab");
  CHECK(have({0}) == "ab");
  CHECK(have({2}) == "ac");
  CHECK(have({3, 4}) == "de");  // alone more than the limit
  CHECK(have({4}) == "e");
  REQUIRE(other->Fetch(put[1]).ok());
  CHECK(have({0}) == "ae");  // it does not know of the other process's use
  CHECK(other->Fetch(put[1]).ok());
}

TEST_CASE("An artifact that the scheduler does not have is not found") {
  Cluster cluster;
  Artifact artifact;
  artifact.set_name("dataset");
  artifact.set_sha256(Sha256Hex("abc"));
  artifact.set_bytes(3);
  CHECK(absl::IsNotFound(cluster.NewStore("first")->Fetch(artifact).status()));
}

}  // namespace shoal
