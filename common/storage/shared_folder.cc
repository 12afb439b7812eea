#include "common/storage/shared_folder.h"

#include <cstdlib>
#include <iostream>

#include "common/storage/file.h"

namespace shoal {

std::string SharedFolder(absl::string_view name, absl::string_view what) {
  const char* const shared = std::getenv("SHOAL_SHARED");
  const bool is_set = shared != nullptr && *shared != '\0';
  const std::string folder = JoinPath(is_set ? shared : "../shared", name);
  if (PosixEnv()->FileExists(folder)) return folder;
  std::cout << "skipped: " << what << "; there is no folder " << folder << " (set SHOAL_SHARED)" << std::endl;
  return "";
}

}  // namespace shoal
