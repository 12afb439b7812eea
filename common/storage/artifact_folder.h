// A folder of artifacts: files named by the SHA-256 of their bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/storage/file.h"
#include "common/storage/progress.h"

namespace shoal {

// The largest artifact. Far above any data set or model that one machine derives; it bounds what one node can
// make another write.
inline constexpr uint64_t kMaxArtifactBytes = uint64_t{64} << 30;
// The largest piece of an artifact in a message.
inline constexpr uint64_t kMaxArtifactPieceBytes = uint64_t{4} << 20;

// A file appears only once it is complete; while it is written it has a name of its own. So any number of
// processes may share the folder, even on several machines. Thread-safe.
class ArtifactFolder {
 public:
  // Deletes what dead writers left behind: files that no process is writing (Env::IsBeingWritten), whatever
  // their age.
  ArtifactFolder(Env* env, std::string folder);

  // Sets the next piece of an arriving artifact; false at the end.
  using NextPiece = std::function<bool(std::string* piece)>;

  // Stores an artifact, replacing an existing one. Errors: INVALID_ARGUMENT when `sha256` is not a digest, or
  // `bytes` or a piece is too large; DATA_LOSS when the pieces have another size or digest; those of the Env.
  // A failed call leaves nothing behind.
  absl::Status Put(const std::string& sha256, uint64_t bytes, const NextPiece& next);

  // Receives the next piece of an artifact of `bytes` bytes; returns false to stop.
  using TakePiece = std::function<bool(uint64_t bytes, absl::string_view piece)>;

  // Reads the file piece by piece (an empty file has one piece), and compares its digest at the end. Errors:
  // INVALID_ARGUMENT when `sha256` is not a digest; NOT_FOUND; DATA_LOSS when the file has other bytes;
  // CANCELLED when `take` returns false; those of the Env.
  absl::Status Read(const std::string& sha256, const TakePiece& take) const;
  absl::Status Verify(const std::string& sha256, const Progress& progress = NoProgress) const;

  // OK when there is none.
  absl::Status Delete(const std::string& sha256);
  // Deletes all artifacts but these. Errors: the Env's, for the first that could not be deleted.
  absl::Status KeepOnly(const std::set<std::string>& sha256);
  // Deletes artifacts other than `kept` until all have at most `bytes`: first those that are not in `used`,
  // then those in it, in their order. Errors: as KeepOnly.
  absl::Status ShrinkTo(uint64_t bytes, const std::set<std::string>& kept,
                        const std::vector<std::string>& used);

  std::string PathOf(const std::string& sha256) const { return JoinPath(folder_, sha256); }

 private:
  absl::Status Receive(WritableFile* file, const std::string& sha256, uint64_t bytes, const NextPiece& next);
  absl::Status PutPartial(const std::string& partial, const std::string& sha256, uint64_t bytes,
                          const NextPiece& next);
  void DeleteLeftovers();
  // The artifacts in the folder. Errors: the Env's.
  absl::StatusOr<std::vector<std::string>> List() const;
  absl::StatusOr<std::unique_ptr<RandomAccessFile>> Open(const std::string& sha256) const;

  Env* const env_;
  const std::string folder_;
};

}  // namespace shoal
