#include <algorithm>

#include "model/families/family.h"

namespace shoal::model {

absl::Span<const Family* const> Families() {
  static constexpr const Family* kFamilies[] = {
      &kBert, &kRobertaPreLayerNorm, &kRoberta, &kDistilBert, &kElectra, &kGpt2, &kEncoderNgrams};
  return kFamilies;
}

const Family* FindFamily(ModelFamily family, NormPlacement norm) {
  for (const Family* candidate : Families()) {
    if (candidate->family == family && candidate->norm == norm) return candidate;
  }
  return nullptr;
}

const Family* FindFamily(absl::string_view model_type) {
  for (const Family* candidate : Families()) {
    if (candidate->model_type == model_type) return candidate;
  }
  return nullptr;
}

const Architecture* FindArchitecture(const Family& family, HeadType head) {
  for (const Architecture& candidate : family.architectures) {
    const auto& heads = candidate.heads;
    if (std::find(heads.begin(), heads.end(), head) != heads.end()) return &candidate;
  }
  return nullptr;
}

const Architecture* FindArchitecture(const Family& family, absl::string_view name) {
  for (const Architecture& candidate : family.architectures) {
    if (candidate.name == name || (!name.empty() && candidate.wider_class == name)) return &candidate;
  }
  return nullptr;
}

int64_t FirstPosition(const Family& family, const ModelConfig& config) {
  return family.positions_follow_padding ? config.pad_token_id + 1 : 0;
}

}  // namespace shoal::model
