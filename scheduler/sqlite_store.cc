#include "scheduler/sqlite_store.h"

#include <sqlite3.h>

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/crc32c.h"
#include "common/base/status.h"

namespace shoal::scheduler {
namespace {

// PRAGMA user_version. 1: values without a checksum; they get one when the store is opened.
constexpr int kFormat = 2;

// Of a record, as it is kept: its value, then the CRC-32C (4 bytes, little-endian) of table, a zero byte,
// key, a zero byte and value.
std::string ChecksumOf(const std::string& table, const std::string& key, absl::string_view value) {
  uint32_t crc = 0;
  for (const absl::string_view part : {absl::string_view(table), absl::string_view("\0", 1),
                                       absl::string_view(key), absl::string_view("\0", 1), value}) {
    crc = ExtendCrc32c(crc, {reinterpret_cast<const uint8_t*>(part.data()), part.size()});
  }
  std::string bytes;
  for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<char>(crc >> shift));
  return bytes;
}
constexpr size_t kChecksumBytes = 4;

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
  void Reset() { sqlite3_reset(statement_); }
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

  // Locks the file, and makes the tables when they are not there.
  absl::Status Prepare();

  absl::StatusOr<std::vector<StoredRecord>> ReadAll() override;
  absl::StatusOr<std::vector<JobEvent>> ReadEvents(JobId job, uint64_t after, int limit) override;
  absl::Status Apply(const std::vector<Action>& actions) override;
  absl::Status Error(int code) const;

 private:
  absl::Status Execute(const char* sql);
  // The file's own structure.
  absl::Status CheckStructure();
  absl::Status AddChecksums();
  absl::Status Damaged(absl::string_view problem) const;
  // Takes the checksum off the record's value. Errors: DATA_LOSS that names the record.
  absl::Status Unseal(StoredRecord* record) const;
  absl::Status Write(const std::vector<Action>& actions);

  sqlite3* const database_;
  const std::string path_;
};

absl::Status SqliteStore::Error(int code) const {
  const std::string text = absl::StrCat("the scheduler's store ", path_, ": ", sqlite3_errmsg(database_));
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::FailedPreconditionError(absl::StrCat(text, ": another scheduler runs on this folder"));
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
  // Exclusive: a second scheduler on the same folder is refused. No write-ahead log: a frame of it that is
  // damaged would end its replay, and what came later would be gone without a word.
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
        absl::StrCat(path_, " was made by a newer version of the scheduler (format ", format, ")"));
  }
  if (format <= 0 && tables > 0) return Damaged("it has tables, but no format");
  if (format == 1) return AddChecksums();
  return Execute(
      "BEGIN IMMEDIATE; CREATE TABLE IF NOT EXISTS record (name TEXT, key TEXT, value BLOB, "
      "PRIMARY KEY (name, key)) WITHOUT ROWID;"
      "PRAGMA user_version=2; COMMIT");
}

absl::Status SqliteStore::CheckStructure() {
  Statement check(database_, "PRAGMA quick_check(1)");
  const int code = check.Step();
  if (code != SQLITE_ROW) return Error(code);
  const std::string found = check.Bytes(0);
  return found == "ok" ? absl::OkStatus() : Damaged(found);
}

absl::Status SqliteStore::AddChecksums() {
  SHOAL_RETURN_IF_ERROR(Execute("BEGIN IMMEDIATE"));
  std::vector<Action> records;
  Statement select(database_, "SELECT name, key, value FROM record");
  int code;
  while ((code = select.Step()) == SQLITE_ROW)
    records.push_back(Persist{{select.Bytes(0), select.Bytes(1), select.Bytes(2)}});
  absl::Status status = code == SQLITE_DONE ? Write(records) : Error(code);
  if (status.ok()) status = Execute("PRAGMA user_version=2");
  if (status.ok()) status = Execute("COMMIT");
  if (!status.ok()) (void)Execute("ROLLBACK");
  return status;
}

absl::Status SqliteStore::Damaged(absl::string_view problem) const {
  return absl::DataLossError(
      absl::StrCat("the scheduler's store ", path_, " is damaged: ", problem,
                   ": put a copy of it in its place and remove ", path_,
                   "-journal, or move it away and let the jobs go on from their checkpoints "
                   "(shoal submit --resume-from, shoal train --resume)"));
}

absl::Status SqliteStore::Unseal(StoredRecord* record) const {
  std::string& value = record->value;
  const size_t size = value.size() - std::min(value.size(), kChecksumBytes);
  if (value.size() >= kChecksumBytes &&
      ChecksumOf(record->table, record->key, absl::string_view(value).substr(0, size)) ==
          value.substr(size)) {
    value.resize(size);
    return absl::OkStatus();
  }
  return Damaged(absl::StrCat("record ", absl::CEscape(record->key), " of table ",
                              absl::CEscape(record->table), " has another checksum"));
}

absl::Status SqliteStore::Execute(const char* sql) {
  const int code = sqlite3_exec(database_, sql, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : Error(code);
}

absl::StatusOr<std::vector<StoredRecord>> SqliteStore::ReadAll() {
  Statement select(
      database_,
      "SELECT name, key, value FROM record WHERE name <> CAST('event' AS BLOB) ORDER BY name, key");
  if (select.code() != SQLITE_OK) return Error(select.code());
  std::vector<StoredRecord> records;
  int code;
  while ((code = select.Step()) == SQLITE_ROW) {
    records.push_back({select.Bytes(0), select.Bytes(1), select.Bytes(2)});
    SHOAL_RETURN_IF_ERROR(Unseal(&records.back()));
  }
  if (code != SQLITE_DONE) return Error(code);
  return records;
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
  SHOAL_RETURN_IF_ERROR(Execute("BEGIN IMMEDIATE"));
  absl::Status status = Write(actions);
  if (status.ok()) status = Execute("COMMIT");
  if (!status.ok()) (void)Execute("ROLLBACK");
  return status;
}

absl::Status SqliteStore::Write(const std::vector<Action>& actions) {
  Statement insert(database_, "INSERT OR REPLACE INTO record (name, key, value) VALUES (?1, ?2, ?3)");
  Statement erase(database_, "DELETE FROM record WHERE name = ?1 AND key = ?2");
  if (insert.code() != SQLITE_OK) return Error(insert.code());
  if (erase.code() != SQLITE_OK) return Error(erase.code());
  for (const Action& action : actions) {
    Statement* statement = nullptr;
    if (const auto* persist = std::get_if<Persist>(&action)) {
      statement = &insert;
      const auto& [table, key, value] = persist->record;
      insert.Bind(1, table);
      insert.Bind(2, key);
      insert.Bind(3, value + ChecksumOf(table, key, value));
    } else if (const auto* removal = std::get_if<Erase>(&action)) {
      statement = &erase;
      erase.Bind(1, removal->table);
      erase.Bind(2, removal->key);
    } else {
      break;
    }
    const int code = statement->Step();
    if (code != SQLITE_DONE) return Error(code);
    statement->Reset();
  }
  return absl::OkStatus();
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
