#include "scheduler/sqlite_store.h"

#include "catch2/catch.hpp"
#include "common/file.h"
#include "common/test_dir.h"

namespace shoal::scheduler {
namespace {

Persist Record(const char* table, const std::string& key, const std::string& value) {
  return {{table, key, value}};
}

std::string EventBytes(uint64_t sequence) {
  JobEvent event;
  event.set_sequence(sequence);
  return event.SerializeAsString();
}

TEST_CASE("What was applied is there after the file was opened again") {
  const TestDir dir;
  const std::string bytes("\0binary\xff", 8);
  {
    auto store = OpenSqliteStore(dir / "store");
    REQUIRE(store.ok());
    REQUIRE(
        (*store)->Apply({Record(kJobTable, "1", "old"), Record(kNodeTable, "2", "gone"), LogLine{}}).ok());
    REQUIRE((*store)->Apply({Record(kJobTable, "1", bytes), Erase{kNodeTable, "2"}}).ok());
  }
  auto store = OpenSqliteStore(dir / "store");
  REQUIRE(store.ok());
  const auto records = (*store)->ReadAll();
  REQUIRE(records.ok());
  REQUIRE(records->size() == 1);
  CHECK((*records)[0].table == kJobTable);
  CHECK((*records)[0].key == "1");
  CHECK((*records)[0].value == bytes);
}

TEST_CASE("Events are read in order, from a place on, of one job") {
  const TestDir dir;
  auto store = OpenSqliteStore(dir / "store");
  REQUIRE(store.ok());
  std::vector<Action> actions;
  for (uint64_t sequence : {3, 1, 2, 300})
    actions.push_back(Record(kEventTable, RecordKey(7, sequence), EventBytes(sequence)));
  actions.push_back(Record(kEventTable, RecordKey(8, 1), EventBytes(99)));
  REQUIRE((*store)->Apply(actions).ok());
  const auto events = (*store)->ReadEvents(JobId(7), 1, 2);
  REQUIRE(events.ok());
  REQUIRE(events->size() == 2);
  CHECK((*events)[0].sequence() == 2);
  CHECK((*events)[1].sequence() == 3);
  CHECK((*store)->ReadEvents(JobId(7), 3, 100)->size() == 1);
  const auto records = (*store)->ReadAll();
  REQUIRE(records.ok());
  CHECK(records->empty());
}

TEST_CASE("A second scheduler on the same store is refused") {
  const TestDir dir;
  auto store = OpenSqliteStore(dir / "store");
  REQUIRE(store.ok());
  const auto second = OpenSqliteStore(dir / "store");
  REQUIRE_FALSE(second.ok());
  CHECK(second.status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK_THAT(std::string(second.status().message()), Catch::Matchers::Contains("another scheduler"));
}

TEST_CASE("A file that is no store is refused") {
  const TestDir dir;
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / "store", std::string(5000, 'x')).ok());
  CHECK(OpenSqliteStore(dir / "store").status().code() == absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace shoal::scheduler
