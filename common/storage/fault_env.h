// Files that fail when told to: a full disk or a broken one, in tests and in daemons under test (--fault).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/event.h"
#include "common/storage/file.h"

namespace shoal {

// Which operations fail, and how. All conditions must hold; a rule without any makes everything fail.
struct FaultRule {
  // Only operations on paths that contain this; "": all. A rename has two paths.
  std::string path_contains;
  // 0: every operation; n: only the n-th whose path matches. Every call to Env, WritableFile and
  // RandomAccessFile that can fail is one operation.
  uint64_t nth_operation = 0;
  // 0: no limit; else a disk of this size: appends fail once this many bytes have been appended under the
  // rule, after writing what still fits. Deleting frees no space.
  uint64_t after_bytes = 0;
  int error = 0;  // errno: ENOSPC, EIO, ...; or kFaultHang
};

// Instead of an error: the operation does not return until the rules are replaced, like a mount that does not
// respond.
inline constexpr int kFaultHang = -1;

// "path=checkpoints,after=1MiB,error=ENOSPC" or "nth=3,error=EIO"; several rules are separated by ';'.
// Fields: path, nth, after (bytes, see ParseBytes), error (ENOSPC, EIO, EACCES, EDQUOT, EROFS, ESTALE or
// HANG; required). Errors: INVALID_ARGUMENT that names the field and what was expected.
absl::StatusOr<std::vector<FaultRule>> ParseFaultRules(absl::string_view text);

// `base` with faults. Thread-safe.
class FaultEnv : public Env {
 public:
  // `base` must outlive this object and its files.
  explicit FaultEnv(Env* base, std::vector<FaultRule> rules = {});

  // Replaces all rules and restarts counting; hanging operations continue. SetRules({}) repairs everything.
  void SetRules(std::vector<FaultRule> rules);

  // How many operations have been counted, including failed ones: n runs that fail operation 1, ..., n try
  // every recovery path.
  uint64_t operations() const;

  // Waits until an operation hangs (true), or `timeout` has passed (false).
  bool WaitForHang(absl::Duration timeout) { return hangs_.WaitFor(timeout); }

  absl::StatusOr<std::unique_ptr<WritableFile>> NewWritableFile(
      const std::string& path, WriteMode mode = WriteMode::kTruncate) override;
  absl::StatusOr<std::unique_ptr<RandomAccessFile>> NewRandomAccessFile(const std::string& path) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status SyncDir(const std::string& path) override;
  absl::Status CreateDirs(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> ListDir(const std::string& path) override;
  absl::Status DeleteFile(const std::string& path) override;
  absl::Status DeleteTree(const std::string& path) override;
  absl::StatusOr<uint64_t> FileSize(const std::string& path) override;
  bool FileExists(const std::string& path) override;
  bool IsBeingWritten(const std::string& path) override { return base_->IsBeingWritten(path); }

 private:
  friend class FaultWritableFile;
  friend class FaultRandomAccessFile;

  struct RuleState {
    FaultRule rule;
    uint64_t operations = 0;
    uint64_t appended_bytes = 0;

    // Counts a matching operation and says whether it fails; `fitting_bytes` of an append succeed anyway.
    bool Fails(uint64_t append_bytes, uint64_t* fitting_bytes);
  };

  // What an operation on `path` (and, for a rename, `other`) must do.
  struct Verdict {
    absl::Status status;
    uint64_t fitting_bytes = 0;  // of an append that fails: how much of it is written first
  };
  Verdict Judge(const std::string& path, const std::string& other, uint64_t append_bytes);
  // Blocks until the rules are replaced.
  void Hang() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Check(const std::string& path) { return Judge(path, path, 0).status; }

  Env* const base_;
  Event hangs_;
  mutable absl::Mutex mutex_;
  uint64_t generation_ ABSL_GUARDED_BY(mutex_) = 0;  // of the rules
  std::vector<RuleState> rules_ ABSL_GUARDED_BY(mutex_);
  uint64_t operations_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace shoal
