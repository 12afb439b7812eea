#include "scheduler/sqlite_store.h"

#include <sqlite3.h>

#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "common/storage/file.h"
#include "common/storage/test_dir.h"

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

TEST_CASE("What was applied is still there when the file is opened again") {
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

TEST_CASE("Events of one job are read in order, from a given place on") {
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

TEST_CASE("A file that is not a store is refused") {
  const TestDir dir;
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / "store", std::string(5000, 'x')).ok());
  CHECK(OpenSqliteStore(dir / "store").status().code() == absl::StatusCode::kDataLoss);
}

// Runs SQL on the file, as another program might.
void Execute(const std::string& path, const char* sql) {
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &database) == SQLITE_OK);
  CHECK(sqlite3_exec(database, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(database);
}

TEST_CASE("A record that is not what was written is an error that names it and says what to do") {
  const TestDir dir;
  {
    auto store = OpenSqliteStore(dir / "store");
    REQUIRE(store.ok());
    REQUIRE((*store)
                ->Apply({Record(kJobTable, RecordKey(1), "value"), Record(kNodeTable, RecordKey(2), "n")})
                .ok());
    REQUIRE((*store)->Apply({Record(kEventTable, RecordKey(1, 1), EventBytes(1))}).ok());
  }
  SECTION("a value") {
    Execute(dir / "store",
            "UPDATE record SET value = CAST('valuf' || substr(value, 6) AS BLOB) WHERE name = "
            "CAST('job' AS BLOB)");
  }
  SECTION("a key") {
    Execute(dir / "store",
            "UPDATE record SET key = CAST('0000000000000009' AS BLOB) WHERE name = "
            "CAST('job' AS BLOB)");
  }
  SECTION("a table") {
    Execute(dir / "store", "UPDATE record SET name = CAST('state' AS BLOB) WHERE name = CAST('job' AS BLOB)");
  }
  SECTION("an empty value") {
    Execute(dir / "store", "UPDATE record SET value = CAST('' AS BLOB) WHERE name = CAST('job' AS BLOB)");
  }
  auto store = OpenSqliteStore(dir / "store");
  REQUIRE(store.ok());
  const absl::Status status = (*store)->ReadAll().status();
  CHECK(absl::IsDataLoss(status));
  CHECK_THAT(std::string(status.message()), Catch::Matchers::Contains("of table ") &&
                                                Catch::Matchers::Contains("record 0000000000000") &&
                                                Catch::Matchers::Contains("--resume-from"));
  CHECK((*store)->ReadEvents(JobId(1), 0, 10)->size() == 1);
}

TEST_CASE("A store of the format without checksums gets them, and is read") {
  const TestDir dir;
  Execute(dir / "store",
          "CREATE TABLE record (name TEXT, key TEXT, value BLOB, PRIMARY KEY (name, key)) WITHOUT ROWID;"
          "INSERT INTO record VALUES (CAST('job' AS BLOB), CAST('1' AS BLOB), CAST('old' AS BLOB));"
          "PRAGMA user_version=1");
  for (int time = 0; time < 2; ++time) {
    auto store = OpenSqliteStore(dir / "store");
    REQUIRE(store.ok());
    const auto records = (*store)->ReadAll();
    REQUIRE(records.ok());
    REQUIRE(records->size() == 1);
    CHECK((*records)[0].key == "1");
    CHECK((*records)[0].value == "old");
  }
}

// Does not sync, since thousands of files are written.
void Overwrite(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes;
  REQUIRE(file.good());
}

TEST_CASE("A bit that has flipped anywhere in the store is an error, or changes nothing that is read") {
  const TestDir dir;
  {
    auto store = OpenSqliteStore(dir / "store");
    REQUIRE(store.ok());
    std::vector<Action> actions;
    for (uint64_t i = 1; i <= 20; ++i)
      actions.push_back(Record(kJobTable, RecordKey(i), std::string(150, 'v')));
    REQUIRE((*store)->Apply(actions).ok());
  }
  const std::string bytes = PosixEnv()->ReadFile(dir / "store").value();
  constexpr size_t kHeaderBits = 800;  // each bit of SQLite's header, and every 73rd bit after it
  for (size_t bit = 0; bit < 8 * bytes.size(); bit += bit < kHeaderBits ? 1 : 73) {
    const size_t at = bit / 8;
    std::string damaged = bytes;
    damaged[at] ^= static_cast<char>(1 << (bit % 8));
    Overwrite(dir / "store", damaged);
    auto store = OpenSqliteStore(dir / "store");
    if (!store.ok()) continue;
    const auto records = (*store)->ReadAll();
    if (!records.ok()) continue;
    INFO("byte " << at);
    CHECK(records->size() == 20);
    for (const StoredRecord& record : *records) CHECK(record.value == std::string(150, 'v'));
  }
}

// The files that a killed scheduler leaves behind: those of an open store.
TEST_CASE(
    "A bit that has flipped in any file of a killed scheduler's store loses no transaction without a word") {
  const TestDir dir;
  REQUIRE(PosixEnv()->CreateDirs(dir / "live").ok());
  REQUIRE(PosixEnv()->CreateDirs(dir / "copy").ok());
  auto live = OpenSqliteStore(dir / "live/store");
  REQUIRE(live.ok());
  for (uint64_t i = 1; i <= 3; ++i)
    REQUIRE((*live)->Apply({Record(kJobTable, RecordKey(i), std::string(50, 'v'))}).ok());
  const std::vector<std::string> names = PosixEnv()->ListDir(dir / "live").value();
  std::map<std::string, std::string> files;
  for (const std::string& name : names) files[name] = PosixEnv()->ReadFile(dir / "live/" + name).value();
  for (const auto& [name, bytes] : files) {
    for (size_t at = 0; at < bytes.size(); at += 7) {
      const auto old = PosixEnv()->ListDir(dir / "copy");
      for (const std::string& left : *old) REQUIRE(PosixEnv()->DeleteFile(dir / "copy/" + left).ok());
      for (const auto& [other, whole] : files) {
        std::string copy = whole;
        if (other == name) copy[at] ^= static_cast<char>(1 << (at % 8));
        Overwrite(dir / "copy/" + other, copy);
      }
      auto store = OpenSqliteStore(dir / "copy/store");
      if (!store.ok()) continue;
      const auto records = (*store)->ReadAll();
      INFO("byte " << at << " of " << name);
      if (records.ok()) CHECK(records->size() == 3);
    }
  }
}

// ---- a power failure in the middle of a transaction ----

using Files = std::map<std::string, std::string>;

void Execute(sqlite3* database, const std::string& sql) {
  char* error = nullptr;
  const int code = sqlite3_exec(database, sql.c_str(), nullptr, nullptr, &error);
  INFO(sql << ": " << (error == nullptr ? "" : error));
  REQUIRE(code == SQLITE_OK);
}

std::vector<Action> Versions(const std::string& version) {
  std::vector<Action> actions;
  for (uint64_t i = 0; i < 64; ++i)
    actions.push_back(Record(kJobTable, RecordKey(i), version + std::string(500, 'v')));
  return actions;
}

// The files of a store whose records are all "old", when part of a transaction that writes "new" ones has
// reached the disk: the previous contents are only in the journal.
Files FilesInATransaction(const TestDir& dir) {
  for (const char* version : {"old", "new"}) {
    auto store = OpenSqliteStore(dir / version);
    REQUIRE(store.ok());
    REQUIRE((*store)->Apply(Versions(version)).ok());
  }
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open((dir / "old").c_str(), &database) == SQLITE_OK);
  Execute(database, "PRAGMA cache_size=1");  // pages are written before the transaction ends
  Execute(database, "ATTACH '" + (dir / "new") + "' AS other; BEGIN");
  Execute(database,
          "UPDATE record SET value = (SELECT other.record.value FROM other.record WHERE other.record.key = "
          "main.record.key)");
  Files files;
  for (const char* name : {"old", "old-journal"}) files[name] = PosixEnv()->ReadFile(dir / name).value();
  Execute(database, "ROLLBACK");
  REQUIRE(sqlite3_close(database) == SQLITE_OK);
  return files;
}

// Returns "old" or "new" if all records are, "mixed" if not, or "" if the store reports that it is damaged.
std::string VersionIn(const TestDir& dir, const Files& files) {
  for (const auto& [name, bytes] : files) Overwrite(dir / name, bytes);
  auto store = OpenSqliteStore(dir / "old");
  if (!store.ok()) return "";
  const auto records = (*store)->ReadAll();
  if (!records.ok()) return "";
  if (records->size() != 64) return "mixed";
  const std::string first = (*records)[0].value.substr(0, 3);
  for (const StoredRecord& record : *records) {
    if (record.value.substr(0, 3) != first) return "mixed";
  }
  return first;
}

TEST_CASE("A transaction that a power failure cut short is undone, or said to be damaged; never half of it") {
  const TestDir made, dir;
  const Files files = FilesInATransaction(made);
  CHECK(VersionIn(dir, {{"old", files.at("old")}, {"old-journal", ""}}) != "old");  // not over yet
  REQUIRE(VersionIn(dir, files) == "old");
  for (const auto& [name, bytes] : files) {
    for (size_t at = 0; at < bytes.size(); at += at < 40 ? 1 : 61) {
      Files damaged = files;
      damaged[name][at] ^= static_cast<char>(1 << (at % 8));
      const std::string version = VersionIn(dir, damaged);
      INFO("byte " << at << " of " << name);
      CHECK((version == "old" || version.empty()));
    }
  }
}

}  // namespace
}  // namespace shoal::scheduler
