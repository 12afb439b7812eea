// A folder of its own for a test or a benchmark.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace shoal {

// An empty folder (under TEST_TMPDIR, else the system's temporary folder) that the destructor removes with
// its contents. Aborts when it can't be created. Only for tests and benchmarks.
class TestDir {
 public:
  TestDir();
  ~TestDir();
  TestDir(const TestDir&) = delete;
  TestDir& operator=(const TestDir&) = delete;

  const std::string& path() const { return path_; }
  // The path of `name` in the folder.
  std::string operator/(absl::string_view name) const;

 private:
  std::string path_;
};

}  // namespace shoal
