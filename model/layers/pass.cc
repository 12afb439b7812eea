#include "model/layers/pass.h"

#include "common/base/philox.h"
#include "kernels/elementwise.h"

namespace shoal {

float* Pass::GradientAt(uint64_t offset, int group) const {
  if (gradient_offsets.empty()) return gradient + offset;
  return gradient + gradient_offsets[group] + (offset - group_begins[group]);
}

Tensor Pass::Gradient(const VectorParameter& vector) const {
  const Tensor of_vector = Tensor(GradientAt(vector.offset, vector.group), {vector.size}).On(device->kind());
  if (!adds_to(vector.group)) SetZero(*device, of_vector);
  return of_vector;
}

Dropout DropoutAt(const Pass& pass, double rate, const char* site, int64_t index) {
  Dropout dropout;
  if (!pass.training) return dropout;
  dropout.rate = static_cast<float>(rate);
  dropout.key = DeriveKey(pass.dropout.key, site, {static_cast<uint64_t>(index)});
  dropout.first_token = pass.dropout.first_token;
  return dropout;
}

Dropout DropoutOfExamples(const Pass& pass, double rate, const char* site) {
  Dropout dropout = DropoutAt(pass, rate, site);
  dropout.first_token = pass.dropout.first_example;
  return dropout;
}

void Drop(const Pass& pass, const Dropout& dropout, const Tensor& x) {
  if (dropout.rate > 0) ApplyDropout(*pass.device, {dropout, x, {}, x});
}

}  // namespace shoal
