// The scheduler's artifacts: files named by the SHA-256 of their bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/file.h"

namespace shoal::scheduler {

// A file is there only when it is whole. Thread-safe.
class ArtifactFiles {
 public:
  ArtifactFiles(Env* env, std::string folder) : env_(env), folder_(std::move(folder)) {}

  // Sets the next piece of an artifact that arrives; false: there is none.
  using NextPiece = std::function<bool(std::string* piece)>;

  // Takes an artifact in. OK, without reading further, when it is there already. Errors: INVALID_ARGUMENT
  // when `sha256` is none, or the bytes have another digest or size; what the Env says. Nothing is left of a
  // failed one.
  absl::Status Put(const std::string& sha256, uint64_t bytes, const NextPiece& next);

  // Errors: INVALID_ARGUMENT, NOT_FOUND.
  absl::StatusOr<std::unique_ptr<RandomAccessFile>> Open(const std::string& sha256) const;

 private:
  absl::Status Receive(const std::string& path, const std::string& sha256, uint64_t bytes,
                       const NextPiece& next);

  Env* const env_;
  const std::string folder_;
};

}  // namespace shoal::scheduler
