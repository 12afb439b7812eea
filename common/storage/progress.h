// How a long task says that it gets on.
#pragma once

#include <functional>

#include "absl/strings/string_view.h"

namespace shoal {

// Called by a task whenever a piece of it is done (bytes read, examples encoded), with what it is at, for
// people: "reads data/train.tsv". Cheap, so better too often than too seldom; never blocks.
using Progress = std::function<void(absl::string_view what)>;

// For whoever does not want to know.
inline void NoProgress(absl::string_view) {}

}  // namespace shoal
