// A folder of artifacts: files named by the SHA-256 of their bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/storage/file.h"
#include "common/storage/progress.h"

namespace shoal {

// Of one artifact. Far above any data set and model that one machine derives; it bounds what a peer can make
// another one write.
inline constexpr uint64_t kMaxArtifactBytes = uint64_t{64} << 30;
// Of one piece of an artifact that travels.
inline constexpr uint64_t kMaxArtifactPieceBytes = uint64_t{4} << 20;

// A file is there only when it was whole once; what is written has a name of its own until then, so any
// number of processes may share the folder, on several machines too. Thread-safe.
class ArtifactFolder {
 public:
  // Deletes what writers that have died left, by no clock: what nobody writes any more (Env::IsBeingWritten).
  ArtifactFolder(Env* env, std::string folder);

  // Sets the next piece of an artifact that arrives; false: there is none.
  using NextPiece = std::function<bool(std::string* piece)>;

  // Takes an artifact in, in place of the one that is there. Errors: INVALID_ARGUMENT when `sha256` is none,
  // or `bytes` or a piece are too large; DATA_LOSS when the pieces have another size or digest; what the Env
  // says. Nothing is left of a failed one.
  absl::Status Put(const std::string& sha256, uint64_t bytes, const NextPiece& next);

  // Takes the next piece of an artifact, whose size is `bytes`; false: no more are wanted.
  using TakePiece = std::function<bool(uint64_t bytes, absl::string_view piece)>;

  // Reads the file, piece by piece (an empty one has one piece), and compares its digest at the end. Errors:
  // INVALID_ARGUMENT when `sha256` is none; NOT_FOUND; DATA_LOSS when the file that is here has other bytes;
  // CANCELLED when `take` returns false; what the Env says.
  absl::Status Read(const std::string& sha256, const TakePiece& take) const;
  absl::Status Verify(const std::string& sha256, const Progress& progress = NoProgress) const;

  // OK when it is not here.
  absl::Status Delete(const std::string& sha256);
  // Deletes all artifacts but these. Errors: what the Env says, of the first that could not be deleted.
  absl::Status KeepOnly(const std::set<std::string>& sha256);

  std::string PathOf(const std::string& sha256) const { return JoinPath(folder_, sha256); }

 private:
  absl::Status Receive(WritableFile* file, const std::string& sha256, uint64_t bytes, const NextPiece& next);
  absl::Status PutPartial(const std::string& partial, const std::string& sha256, uint64_t bytes,
                          const NextPiece& next);
  void DeleteLeftovers();
  absl::StatusOr<std::unique_ptr<RandomAccessFile>> Open(const std::string& sha256) const;

  Env* const env_;
  const std::string folder_;
};

}  // namespace shoal
