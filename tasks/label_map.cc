#include "tasks/label_map.h"

#include "absl/strings/str_cat.h"
#include "common/base/utf8.h"

namespace shoal::tasks {

LabelMap::LabelMap(const std::vector<std::string>& labels) : size_(labels.size()) {
  for (size_t i = 0; i < labels.size(); ++i) ids_[labels[i]] = static_cast<int32_t>(i);
}

absl::StatusOr<int32_t> LabelMap::Find(const std::string& label) const {
  const auto id = ids_.find(label);
  if (id != ids_.end()) return id->second;
  return absl::InvalidArgumentError(absl::StrCat("the label '", ToQuoted(label),
                                                 "' does not occur in the training examples; expected "
                                                 "one that does (data.min_class_count drops rare labels)"));
}

}  // namespace shoal::tasks
