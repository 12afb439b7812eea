// Sees each path that is used on a simulated disk.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/base/status.h"
#include "common/storage/file.h"
#include "tests/simulation/memory_disk.h"

namespace shoal {

// While `watching`, only these folders and the files in them may be used.
class PathCheck : public simulation::DiskObserver {
 public:
  explicit PathCheck(std::vector<std::string> folders, bool watches = true)
      : watching(watches), folders_(std::move(folders)) {}

  absl::Status Before(absl::string_view, const std::string& path) override {
    Check(path);
    return absl::OkStatus();
  }
  void After(absl::string_view, const std::string&) override {}
  std::string Where(const std::string& path) override {
    Check(path);
    return path;
  }
  bool watching;

 private:
  bool Has(const std::string& folder) const {
    return std::find(folders_.begin(), folders_.end(), folder) != folders_.end();
  }
  void Check(const std::string& path) const {
    if (!watching || Has(path)) return;
    SHOAL_CHECK(Has(DirName(path)) && BaseName(path) != ".." && BaseName(path) != ".");
  }

  const std::vector<std::string> folders_;
};

}  // namespace shoal
