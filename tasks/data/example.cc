#include "tasks/data/example.h"

#include "absl/strings/str_cat.h"
#include "common/base/utf8.h"

namespace shoal::tasks {

std::string ExampleSet::Origin(const Example& example) const {
  if (example.line == 0 && !example.id.empty())
    return absl::StrCat(files[example.file], ": ", ToQuoted(example.id));
  return absl::StrCat(files[example.file], ":", example.line);
}

}  // namespace shoal::tasks
