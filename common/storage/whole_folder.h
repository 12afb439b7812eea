// A folder that appears only once it is complete.
#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "common/storage/file.h"

namespace shoal {

// Has `write` write files into the folder `unfinished`, which may not exist yet, and renames that to
// `folder`: a `write` that fails, or is interrupted, leaves `folder` as it was. `unfinished` is
// "FOLDER.partial". When `folder` exists already, it is "FOLDER/export.partial", because `folder` may be a
// mount point, and the files are moved into `folder` one by one, replacing those of the same names.
//
// What an interrupted call has left is deleted by the next one. Errors: those of `write` and of the Env;
// `unfinished` is then deleted. Not for two processes that write the same folder at once.
absl::Status WriteWholeFolder(Env* env, const std::string& folder,
                              const std::function<absl::Status(const std::string& unfinished)>& write);

}  // namespace shoal
