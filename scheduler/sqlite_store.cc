#include "scheduler/sqlite_store.h"

#include <sqlite3.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/crc32c.h"
#include "common/base/status.h"

namespace shoal::scheduler {
namespace {

// PRAGMA user_version. 1: values without a checksum; 2: no total. Both are upgraded when the store is opened.
// 3 is left out, so that no flipped bit turns one format into another.
constexpr int kFormat = 4;

// A record is stored as its value, followed by the CRC-32C (4 bytes, little-endian) of table, a zero byte,
// key, a zero byte and value.
uint32_t ChecksumOf(const StoredRecord& record) {
  uint32_t crc = 0;
  for (const absl::string_view part :
       {absl::string_view(record.table), absl::string_view("\0", 1), absl::string_view(record.key),
        absl::string_view("\0", 1), absl::string_view(record.value)}) {
    crc = ExtendCrc32c(crc, {reinterpret_cast<const uint8_t*>(part.data()), part.size()});
  }
  return crc;
}
constexpr size_t kChecksumBytes = 4;

std::string Sealed(const StoredRecord& record) {
  const uint32_t crc = ChecksumOf(record);
  std::string bytes = record.value;
  for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<char>(crc >> shift));
  return bytes;
}

// The checksum stored in a sealed value.
uint32_t ChecksumIn(absl::string_view sealed) {
  uint32_t crc = 0;
  for (const char byte : sealed.substr(sealed.size() - std::min(sealed.size(), kChecksumBytes)))
    crc = crc >> 8 | uint32_t{static_cast<uint8_t>(byte)} << 24;
  return crc;
}

// The record whose value is the sum of the checksums of all other records except events, in decimal digits.
// It is wrong when only part of a transaction is in the file because its journal was damaged.
constexpr char kTotalTable[] = "total";

// Events are left out: few are read at a time, and a missing one does no harm.
bool IsInTotal(const std::string& table) { return table != kEventTable && table != kTotalTable; }

// A prepared statement.
class Statement {
 public:
  Statement(sqlite3* database, const char* sql) {
    code_ = sqlite3_prepare_v2(database, sql, -1, &statement_, nullptr);
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  int code() const { return code_; }
  void Bind(int index, const std::string& bytes) {
    sqlite3_bind_blob64(statement_, index, bytes.data(), bytes.size(), SQLITE_TRANSIENT);
  }
  void Bind(int index, int64_t value) { sqlite3_bind_int64(statement_, index, value); }
  int Step() { return sqlite3_step(statement_); }
  std::string Bytes(int column) const {
    const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_, column));
    return data == nullptr ? std::string() : std::string(data, sqlite3_column_bytes(statement_, column));
  }
  int64_t Integer(int column) const { return sqlite3_column_int64(statement_, column); }

 private:
  sqlite3_stmt* statement_ = nullptr;
  int code_ = SQLITE_OK;
};

class SqliteStore : public Store {
 public:
  SqliteStore(sqlite3* database, std::string path) : database_(database), path_(std::move(path)) {}
  ~SqliteStore() override { sqlite3_close(database_); }

  // Locks the file, and creates the tables if they don't exist.
  absl::Status Prepare();

  absl::StatusOr<std::vector<StoredRecord>> ReadAll() override;
  absl::StatusOr<std::vector<JobEvent>> ReadEvents(JobId job, uint64_t after, int limit) override;
  absl::Status Apply(const std::vector<Action>& actions) override;
  absl::Status Error(int code) const;

 private:
  absl::Status Execute(const char* sql);
  // Checks the file's own structure.
  absl::Status CheckStructure();
  // Rewrites all records of a store in an older format.
  absl::Status Upgrade(int64_t format);
  absl::Status Damaged(absl::string_view problem) const;
  // Verifies the checksum of the record's value and removes it. Errors: DATA_LOSS, naming the record.
  absl::Status Unseal(StoredRecord* record) const;
  // Runs `write` in a transaction: BEGIN, `write`, COMMIT.
  absl::Status Transact(const std::function<absl::Status()>& write);
  absl::Status Write(const std::vector<Action>& actions);
  // Writes the records that the actions begin with.
  absl::Status WriteRecords(const std::vector<Action>& actions, uint64_t* total);
  absl::Status WriteRecord(const StoredRecord& record);
  absl::Status EraseRecord(const std::string& table, const std::string& key);
  // The sealed value; "" if there is none.
  absl::StatusOr<std::string> ReadSealed(const std::string& table, const std::string& key);
  absl::StatusOr<uint64_t> ReadTotal();

  sqlite3* const database_;
  const std::string path_;
};

absl::Status SqliteStore::Error(int code) const {
  const std::string text = absl::StrCat("the scheduler's store ", path_, ": ", sqlite3_errmsg(database_));
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::FailedPreconditionError(absl::StrCat(text, ": another scheduler is using this folder"));
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(text);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(text);
    default:
      return absl::UnavailableError(text);
  }
}

absl::Status SqliteStore::Prepare() {
  // Exclusive: a second scheduler on the same folder is refused. No write-ahead log: a damaged frame would
  // end its replay, and everything after it would be lost silently.
  SHOAL_RETURN_IF_ERROR(Execute("PRAGMA locking_mode=EXCLUSIVE"));
  SHOAL_RETURN_IF_ERROR(Execute("PRAGMA journal_mode=TRUNCATE"));
  SHOAL_RETURN_IF_ERROR(Execute("PRAGMA synchronous=FULL"));
  SHOAL_RETURN_IF_ERROR(CheckStructure());
  int64_t format = 0, tables = 0;
  {
    Statement version(database_, "PRAGMA user_version");
    if (version.Step() == SQLITE_ROW) format = version.Integer(0);
    Statement count(database_, "SELECT count(*) FROM sqlite_master");
    if (count.Step() == SQLITE_ROW) tables = count.Integer(0);
  }
  if (format > kFormat) {
    return absl::FailedPreconditionError(
        absl::StrCat(path_, " was created by a newer version of the scheduler (format ", format, ")"));
  }
  if (format <= 0 && tables > 0) return Damaged("it has tables, but no format");
  if (format == 1 || format == 2) return Upgrade(format);
  if (format == kFormat) return Execute("BEGIN EXCLUSIVE; COMMIT");  // takes the lock, and writes nothing
  if (format > 0) return Damaged(absl::StrCat("there is no format ", format));
  return Execute(
      "BEGIN IMMEDIATE; CREATE TABLE IF NOT EXISTS record (name TEXT, key TEXT, value BLOB, "
      "PRIMARY KEY (name, key)) WITHOUT ROWID;"
      "PRAGMA user_version=4; COMMIT");
}

absl::Status SqliteStore::CheckStructure() {
  Statement check(database_, "PRAGMA quick_check(1)");
  const int code = check.Step();
  if (code != SQLITE_ROW) return Error(code);
  const std::string found = check.Bytes(0);
  return found == "ok" ? absl::OkStatus() : Damaged(found);
}

absl::Status SqliteStore::Upgrade(int64_t format) {
  return Transact([&]() -> absl::Status {
    std::vector<Action> records;
    {
      Statement select(database_, "SELECT name, key, value FROM record");
      int code;
      while ((code = select.Step()) == SQLITE_ROW) {
        StoredRecord record = {select.Bytes(0), select.Bytes(1), select.Bytes(2)};
        if (format > 1) SHOAL_RETURN_IF_ERROR(Unseal(&record));
        records.push_back(Persist{std::move(record)});
      }
      if (code != SQLITE_DONE) return Error(code);
    }
    SHOAL_RETURN_IF_ERROR(Execute("DELETE FROM record; PRAGMA user_version=4"));
    return Write(records);
  });
}

absl::Status SqliteStore::Damaged(absl::string_view problem) const {
  return absl::DataLossError(
      absl::StrCat("the scheduler's store ", path_, " is damaged: ", problem,
                   ": replace it with a backup and remove ", path_,
                   "-journal, or move it away and continue the jobs from their checkpoints "
                   "(shoal submit --resume-from, shoal train --resume)"));
}

absl::Status SqliteStore::Unseal(StoredRecord* record) const {
  std::string& value = record->value;
  if (value.size() >= kChecksumBytes) {
    const uint32_t expected = ChecksumIn(value);
    value.resize(value.size() - kChecksumBytes);
    if (ChecksumOf(*record) == expected) return absl::OkStatus();
  }
  return Damaged(absl::StrCat("record ", absl::CEscape(record->key), " of table ",
                              absl::CEscape(record->table), " does not match its checksum"));
}

absl::Status SqliteStore::Execute(const char* sql) {
  const int code = sqlite3_exec(database_, sql, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : Error(code);
}

absl::StatusOr<std::vector<StoredRecord>> SqliteStore::ReadAll() {
  Statement select(database_,
                   "SELECT name, key, value FROM record WHERE name NOT IN (CAST('event' AS BLOB), "
                   "CAST('total' AS BLOB)) ORDER BY name, key");
  if (select.code() != SQLITE_OK) return Error(select.code());
  std::vector<StoredRecord> records;
  uint64_t total = 0;
  int code;
  while ((code = select.Step()) == SQLITE_ROW) {
    records.push_back({select.Bytes(0), select.Bytes(1), select.Bytes(2)});
    total += ChecksumIn(records.back().value);
    SHOAL_RETURN_IF_ERROR(Unseal(&records.back()));
  }
  if (code != SQLITE_DONE) return Error(code);
  SHOAL_ASSIGN_OR_RETURN(const uint64_t stored, ReadTotal());
  if (total != stored) return Damaged("its records do not all belong to the same transaction");
  return records;
}

absl::StatusOr<std::string> SqliteStore::ReadSealed(const std::string& table, const std::string& key) {
  Statement select(database_, "SELECT value FROM record WHERE name = ?1 AND key = ?2");
  if (select.code() != SQLITE_OK) return Error(select.code());
  select.Bind(1, table);
  select.Bind(2, key);
  const int code = select.Step();
  if (code == SQLITE_ROW) return select.Bytes(0);
  return code == SQLITE_DONE ? absl::StatusOr<std::string>("") : Error(code);
}

absl::StatusOr<uint64_t> SqliteStore::ReadTotal() {
  StoredRecord record = {kTotalTable, "", ""};
  SHOAL_ASSIGN_OR_RETURN(record.value, ReadSealed(record.table, record.key));
  if (record.value.empty()) return 0;  // nothing was written yet
  SHOAL_RETURN_IF_ERROR(Unseal(&record));
  uint64_t total = 0;
  if (!absl::SimpleAtoi(record.value, &total)) return Damaged("its total is not a number");
  return total;
}

absl::StatusOr<std::vector<JobEvent>> SqliteStore::ReadEvents(JobId job, uint64_t after, int limit) {
  Statement select(
      database_,
      "SELECT key, value FROM record WHERE name = ?1 AND key > ?2 AND key <= ?3 ORDER BY key LIMIT ?4");
  if (select.code() != SQLITE_OK) return Error(select.code());
  select.Bind(1, std::string(kEventTable));
  select.Bind(2, RecordKey(job.value(), after));
  select.Bind(3, RecordKey(job.value(), ~uint64_t{0}));
  select.Bind(4, limit);
  std::vector<JobEvent> events;
  int code;
  while ((code = select.Step()) == SQLITE_ROW) {
    StoredRecord record = {kEventTable, select.Bytes(0), select.Bytes(1)};
    SHOAL_RETURN_IF_ERROR(Unseal(&record));
    events.emplace_back();
    if (!events.back().ParseFromString(record.value)) {
      return absl::DataLossError(absl::StrCat(path_, ": an event of job ", job.value(), " can't be read"));
    }
  }
  if (code != SQLITE_DONE) return Error(code);
  return events;
}

absl::Status SqliteStore::Apply(const std::vector<Action>& actions) {
  const bool writes = !actions.empty() && (std::holds_alternative<Persist>(actions[0]) ||
                                           std::holds_alternative<Erase>(actions[0]));
  if (!writes) return absl::OkStatus();
  return Transact([&] { return Write(actions); });
}

absl::Status SqliteStore::Transact(const std::function<absl::Status()>& write) {
  SHOAL_RETURN_IF_ERROR(Execute("BEGIN IMMEDIATE"));
  absl::Status status = write();
  if (status.ok()) status = Execute("COMMIT");
  if (!status.ok()) (void)Execute("ROLLBACK");
  return status;
}

absl::Status SqliteStore::Write(const std::vector<Action>& actions) {
  SHOAL_ASSIGN_OR_RETURN(const uint64_t before, ReadTotal());
  uint64_t total = before;
  SHOAL_RETURN_IF_ERROR(WriteRecords(actions, &total));
  if (total == before) return absl::OkStatus();
  return WriteRecord({kTotalTable, "", absl::StrCat(total)});
}

absl::Status SqliteStore::WriteRecords(const std::vector<Action>& actions, uint64_t* total) {
  for (const Action& action : actions) {
    const auto* const persist = std::get_if<Persist>(&action);
    const auto* const erase = std::get_if<Erase>(&action);
    if (persist == nullptr && erase == nullptr) break;
    const std::string& table = persist != nullptr ? persist->record.table : erase->table;
    const std::string& key = persist != nullptr ? persist->record.key : erase->key;
    if (IsInTotal(table)) {
      StoredRecord former = {table, key, ""};
      SHOAL_ASSIGN_OR_RETURN(former.value, ReadSealed(table, key));
      if (!former.value.empty()) {
        *total -= ChecksumIn(former.value);
        SHOAL_RETURN_IF_ERROR(Unseal(&former));
      }
      if (persist != nullptr) *total += ChecksumOf(persist->record);
    }
    SHOAL_RETURN_IF_ERROR(persist != nullptr ? WriteRecord(persist->record) : EraseRecord(table, key));
  }
  return absl::OkStatus();
}

absl::Status SqliteStore::WriteRecord(const StoredRecord& record) {
  Statement insert(database_, "INSERT OR REPLACE INTO record (name, key, value) VALUES (?1, ?2, ?3)");
  if (insert.code() != SQLITE_OK) return Error(insert.code());
  insert.Bind(1, record.table);
  insert.Bind(2, record.key);
  insert.Bind(3, Sealed(record));
  const int code = insert.Step();
  return code == SQLITE_DONE ? absl::OkStatus() : Error(code);
}

absl::Status SqliteStore::EraseRecord(const std::string& table, const std::string& key) {
  Statement erase(database_, "DELETE FROM record WHERE name = ?1 AND key = ?2");
  if (erase.code() != SQLITE_OK) return Error(erase.code());
  erase.Bind(1, table);
  erase.Bind(2, key);
  const int code = erase.Step();
  return code == SQLITE_DONE ? absl::OkStatus() : Error(code);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenSqliteStore(const std::string& path) {
  sqlite3* database = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  auto store = std::make_unique<SqliteStore>(database, path);
  if (code != SQLITE_OK) return store->Error(code);
  SHOAL_RETURN_IF_ERROR(store->Prepare());
  return store;
}

}  // namespace shoal::scheduler
