#include "tasks/masking.h"

#include "common/base/philox.h"
#include "common/base/status.h"

namespace shoal::tasks {
namespace {

constexpr double kMasked = 0.8, kReplaced = 0.1;

int32_t Hidden(const Masking& masking, int32_t token, PhiloxStream* random) {
  const double how = random->NextDouble();
  if (how < kMasked) return static_cast<int32_t>(masking.mask_token);
  return how < kMasked + kReplaced ? static_cast<int32_t>(random->UniformInt(masking.vocab_size)) : token;
}

}  // namespace

void HideTokens(const Masking& masking, uint64_t example, absl::Span<int32_t> tokens,
                absl::Span<int32_t> targets) {
  SHOAL_CHECK(tokens.size() == targets.size());
  PhiloxStream random(DeriveKey(masking.key, "example", {example}));
  int32_t word = -1;
  bool hides = false;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const bool same_word = masking.whole_words && targets[i] == word;
    word = targets[i];
    if (!same_word) hides = word >= 0 && random.NextDouble() < masking.rate;
    targets[i] = hides ? tokens[i] : -1;
    if (hides) tokens[i] = Hidden(masking, tokens[i], &random);
  }
}

}  // namespace shoal::tasks
