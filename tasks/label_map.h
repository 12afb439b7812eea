// Looks up a model's labels by name.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace shoal::tasks {

class LabelMap {
 public:
  // `labels`: in the order of the logits.
  explicit LabelMap(const std::vector<std::string>& labels);

  size_t size() const { return size_; }

  // The label's index. Errors: INVALID_ARGUMENT when it is not one of the labels.
  absl::StatusOr<int32_t> Find(const std::string& label) const;

 private:
  size_t size_;
  std::map<std::string, int32_t> ids_;
};

}  // namespace shoal::tasks
