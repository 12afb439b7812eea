#include "kernels/op_profile.h"

#include <algorithm>

namespace shoal::kernels {

void OpProfile::Add(absl::string_view name, double seconds, const OpWork& work) {
  auto op =
      std::find_if(totals_.begin(), totals_.end(), [name](const OpTotals& t) { return t.name == name; });
  if (op == totals_.end()) op = totals_.insert(op, {name, 0, 0, {}});
  ++op->calls;
  op->seconds += seconds;
  op->work.flops += work.flops;
  op->work.bytes += work.bytes;
}

}  // namespace shoal::kernels
