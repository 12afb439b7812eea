#include "common/progress_env.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"

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

}  // namespace

absl::StatusOr<std::unique_ptr<RandomAccessFile>> ProgressEnv::NewRandomAccessFile(const std::string& path) {
  std::string what = absl::StrCat("reads ", path);
  progress_(what);
  SHOAL_ASSIGN_OR_RETURN(std::unique_ptr<RandomAccessFile> file, base_->NewRandomAccessFile(path));
  return std::make_unique<ProgressFile>(std::move(file), progress_, std::move(what));
}

}  // namespace shoal
