#include "common/storage/test_dir.h"

#include <cstdio>
#include <cstdlib>
#include <string>

#include "common/base/status.h"
#include "common/storage/file.h"

namespace shoal {

TestDir::TestDir() {
  const char* parent = std::getenv("TEST_TMPDIR");
  if (parent == nullptr) parent = std::getenv("TMPDIR");
  path_ = JoinPath(parent != nullptr ? parent : P_tmpdir, "shoal-test-XXXXXX");
  SHOAL_CHECK(mkdtemp(path_.data()) != nullptr);
}

TestDir::~TestDir() { SHOAL_CHECK_OK(PosixEnv()->DeleteTree(path_)); }

std::string TestDir::operator/(absl::string_view name) const { return JoinPath(path_, name); }

}  // namespace shoal
