#include "common/storage/progress_env.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace shoal {
namespace {

class ProgressFile : public RandomAccessFile {
 public:
  ProgressFile(std::unique_ptr<RandomAccessFile> base, Progress progress, std::string what)
      : base_(std::move(base)), progress_(std::move(progress)), what_(std::move(what)) {}

  uint64_t size() const override { return base_->size(); }
  absl::Status Read(uint64_t offset, absl::Span<char> out) const override {
    while (!out.empty()) {
      const size_t piece = std::min(out.size(), ProgressEnv::kPieceBytes);
      SHOAL_RETURN_IF_ERROR(base_->Read(offset, out.first(piece)));
      progress_(what_);
      offset += piece;
      out.remove_prefix(piece);
    }
    return absl::OkStatus();
  }

 private:
  const std::unique_ptr<RandomAccessFile> base_;
  const Progress progress_;
  const std::string what_;
};

class ProgressWritableFile : public WritableFile {
 public:
  ProgressWritableFile(std::unique_ptr<WritableFile> base, Progress progress, std::string what)
      : base_(std::move(base)), progress_(std::move(progress)), what_(std::move(what)) {}

  absl::Status Append(absl::string_view bytes) override {
    while (!bytes.empty()) {
      const absl::string_view piece = bytes.substr(0, ProgressEnv::kPieceBytes);
      SHOAL_RETURN_IF_ERROR(base_->Append(piece));
      progress_(what_);
      bytes.remove_prefix(piece.size());
    }
    return absl::OkStatus();
  }
  absl::Status Sync() override {
    SHOAL_RETURN_IF_ERROR(base_->Sync());
    progress_(what_);
    return absl::OkStatus();
  }
  absl::Status Close() override { return base_->Close(); }

 private:
  const std::unique_ptr<WritableFile> base_;
  const Progress progress_;
  const std::string what_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<WritableFile>> ProgressEnv::NewWritableFile(const std::string& path,
                                                                           WriteMode mode) {
  std::string what = absl::StrCat("writes ", path);
  progress_(what);
  SHOAL_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, base_->NewWritableFile(path, mode));
  progress_(what);
  return std::make_unique<ProgressWritableFile>(std::move(file), progress_, std::move(what));
}

absl::StatusOr<std::unique_ptr<RandomAccessFile>> ProgressEnv::NewRandomAccessFile(const std::string& path) {
  std::string what = absl::StrCat("reads ", path);
  progress_(what);
  SHOAL_ASSIGN_OR_RETURN(std::unique_ptr<RandomAccessFile> file, base_->NewRandomAccessFile(path));
  progress_(what);
  return std::make_unique<ProgressFile>(std::move(file), progress_, std::move(what));
}

}  // namespace shoal
