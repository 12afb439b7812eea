#include "tools/shoal/metrics_file.h"

#include "catch2/catch.hpp"
#include "common/storage/test_dir.h"

namespace shoal::tools {
namespace {

constexpr char kFormer[] =
    R"({"event":"log","loss":3.0,"round":10}
{"event":"evaluation","round":10,"set":"validation"}
{"event":"log","loss":2.0,"round":20}
{"event":"evaluation","round":20,"set":"validation"}
{"event":"log","loss":1.0,"round":30}
{"event":"log","los)";

nlohmann::json Log(int round) { return {{"event", "log"}, {"round", round}, {"loss", 0.5}}; }

TEST_CASE("Lines that no scheduler reports again stay, and none is duplicated") {
  const TestDir dir;
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / "metrics.jsonl", kFormer).ok());
  for (int run = 0; run < 2; ++run) {
    const auto file = MetricsFile::Open(PosixEnv(), dir / "metrics.jsonl", /*origin=*/20);
    REQUIRE(file.ok());
    (*file)->Add({{"event", "evaluation"}, {"set", "validation"}, {"round", 20}});  // it is evaluated again
    (*file)->Add(Log(30));
    CHECK((*file)->status().ok());
  }
  CHECK(PosixEnv()->ReadFile(dir / "metrics.jsonl").value() ==
        R"({"event":"log","loss":3.0,"round":10}
{"event":"evaluation","round":10,"set":"validation"}
{"event":"log","loss":2.0,"round":20}
{"event":"evaluation","round":20,"set":"validation"}
{"event":"log","loss":0.5,"round":30}
)");
}

TEST_CASE("A job that starts from the beginning replaces the metrics") {
  const TestDir dir;
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / "metrics.jsonl", kFormer).ok());
  const auto file = MetricsFile::Open(PosixEnv(), dir / "metrics.jsonl", /*origin=*/0);
  REQUIRE(file.ok());
  (*file)->Add(Log(10));
  CHECK(PosixEnv()->ReadFile(dir / "metrics.jsonl").value() ==
        "{\"event\":\"log\",\"loss\":0.5,\"round\":10}\n");
}

TEST_CASE("A file that can't be written is an error that names it") {
  const TestDir dir;
  const auto file = MetricsFile::Open(PosixEnv(), dir / "missing/metrics.jsonl", 0);
  CHECK_THAT(std::string(file.status().message()), Catch::Matchers::Contains("missing/metrics.jsonl"));
}

}  // namespace
}  // namespace shoal::tools
