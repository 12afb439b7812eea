// A folder of artifacts: files named by the SHA-256 of their bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/file.h"
#include "common/progress.h"

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

  // Reads the file. Errors: INVALID_ARGUMENT when `sha256` is none; NOT_FOUND; DATA_LOSS when the file that
  // is here has other bytes; what the Env says.
  absl::Status Verify(const std::string& sha256, const Progress& progress = NoProgress) const;

  // Not verified. Errors: INVALID_ARGUMENT, NOT_FOUND, what the Env says.
  absl::StatusOr<std::unique_ptr<RandomAccessFile>> Open(const std::string& sha256) const;

  std::string PathOf(const std::string& sha256) const { return JoinPath(folder_, sha256); }

 private:
  absl::Status Receive(WritableFile* file, const std::string& sha256, uint64_t bytes, const NextPiece& next);
  absl::Status PutPartial(const std::string& partial, const std::string& sha256, uint64_t bytes,
                          const NextPiece& next);
  void DeleteLeftovers();

  Env* const env_;
  const std::string folder_;
};

}  // namespace shoal
