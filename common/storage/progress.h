// How a long task reports progress.
#pragma once

#include <functional>

#include "absl/strings/string_view.h"

namespace shoal {

// Called by a task whenever a piece of it is done (bytes read, examples encoded), with a description of what
// it is doing, for people: "reads data/train.tsv". Cheap, so call it too often rather than too rarely; never
// blocks.
using Progress = std::function<void(absl::string_view what)>;

// Ignores progress.
inline void NoProgress(absl::string_view) {}

}  // namespace shoal
