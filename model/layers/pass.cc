#include "model/layers/pass.h"

#include "common/base/philox.h"
#include "kernels/elementwise.h"

namespace shoal::model {

float* Pass::GradientAt(uint64_t offset, int group) const {
  if (gradient_offsets.empty()) return gradient + offset;
  return gradient + gradient_offsets[group] + (offset - group_begins[group]);
}

kernels::Tensor Pass::Gradient(const VectorParameter& vector) const {
  const kernels::Tensor of_vector =
      kernels::Tensor(GradientAt(vector.offset, vector.group), {vector.size}).On(device->kind());
  if (!adds_to(vector.group)) kernels::SetZero(*device, of_vector);
  return of_vector;
}

kernels::CrossEntropyArgs ClassLossArgs(const Pass& pass) {
  kernels::CrossEntropyArgs args;
  if (!pass.training || pass.loss == nullptr) return args;
  args.label_smoothing = pass.loss->label_smoothing;
  args.focusing = pass.loss->focusing;
  if (!pass.loss->class_weights.empty())
    args.class_weights = kernels::ViewOf(absl::MakeConstSpan(pass.loss->class_weights));
  return args;
}

kernels::Dropout DropoutAt(const Pass& pass, double rate, const char* site, int64_t index) {
  kernels::Dropout dropout;
  if (!pass.training) return dropout;
  dropout.rate = static_cast<float>(rate);
  dropout.key = DeriveKey(pass.dropout.key, site, {static_cast<uint64_t>(index)});
  dropout.first_token = pass.dropout.first_token;
  return dropout;
}

kernels::Dropout DropoutOfExamples(const Pass& pass, double rate, const char* site) {
  kernels::Dropout dropout = DropoutAt(pass, rate, site);
  dropout.first_token = pass.dropout.first_example;
  return dropout;
}

void Drop(const Pass& pass, const kernels::Dropout& dropout, const kernels::Tensor& x) {
  if (dropout.rate > 0) kernels::ApplyDropout(*pass.device, {dropout, x, {}, x});
}

}  // namespace shoal::model
