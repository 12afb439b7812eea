// The artifact "dataset" of any bytes. Asserted: what was read serializes to bytes that read back the same,
// and its numbers are consistent.
#include "tasks/dataset.h"

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "common/base/status.h"

namespace shoal::tasks {
namespace {

constexpr TokenLimits kLimits = {100, 3};

void CheckPart(const EncodedPart& part) {
  uint64_t tokens = 0;
  for (uint64_t example = 0; example < part.size(); ++example) tokens += part.length(example);
  SHOAL_CHECK(tokens == part.tokens.size());
  for (int32_t token : part.tokens)
    SHOAL_CHECK(token >= 0 && static_cast<uint64_t>(token) < kLimits.vocab_size);
  SHOAL_CHECK(HasTypes(part, kLimits.token_types));
}

}  // namespace
}  // namespace shoal::tasks

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace shoal;
  using namespace shoal::tasks;
  const absl::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto dataset = ParseDataset(bytes, kLimits);
  if (!dataset.ok()) return 0;
  for (const EncodedPart& part : dataset->part) CheckPart(part);
  SHOAL_CHECK(dataset->longest() <= size);
  const std::string again = SerializeDataset(*dataset);
  SHOAL_CHECK(again.size() == size);
  const auto parsed = ParseDataset(again, kLimits);
  SHOAL_CHECK_OK(parsed);
  SHOAL_CHECK(SerializeDataset(*parsed) == again);
  return 0;
}
