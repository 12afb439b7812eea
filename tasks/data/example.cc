#include "tasks/data/example.h"

#include "absl/strings/str_cat.h"

namespace shoal::tasks {

std::string ExampleSet::Origin(const Example& example) const {
  return absl::StrCat(files[example.file], ":", example.line);
}

}  // namespace shoal::tasks
