// A folder that appears only once it is complete.
#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "common/storage/file.h"

namespace shoal {

// Has `write` write files into the folder `unfinished`, which may not exist yet, and renames that to
// `folder`: a `write` that fails, or is interrupted, leaves `folder` as it was. `unfinished` is
// ".NAME.partial" beside it, where NAME is the last part of `folder`.
//
// When `folder` exists already, `unfinished` is "FOLDER/.export.partial", because `folder` may be a mount
// point, and the files are moved into `folder` one by one, replacing those of the same names. `marker` is a
// file that `write` writes and without which nobody loads the folder: it is deleted before the first move,
// and moved last. So a folder in which a move has failed, or was interrupted, can't be loaded, rather than be
// loaded as a mixture of old and new files.
//
// What an interrupted call has left is deleted by the next one. Errors: those of `write`, after which
// `unfinished` is deleted; those of the Env. After a failed move `unfinished` keeps what was not moved, and
// the error names it. Not for two processes that write the same folder at once.
absl::Status WriteWholeFolder(Env* env, const std::string& folder, const std::string& marker,
                              const std::function<absl::Status(const std::string& unfinished)>& write);

// Whether a call was cut off while it moved files into `folder`, which can't be loaded until another call has
// ended well.
bool IsHalfWritten(Env* env, const std::string& folder, const std::string& marker);

}  // namespace shoal
