// A config.json of any bytes. Asserted: what was read is valid, prints, and reads back as the same text.
#include "model/model_config.h"

#include <cstdint>
#include <string>

#include "common/base/status.h"
#include "model/hugging_face.h"
#include "model/parameters.h"
#include "tests/fuzz/memory_files.h"

namespace shoal {
namespace {

// Counting parameters needs a table of all layers.
constexpr int64_t kMaxLayers = 64;

void CheckConfig(const model::ModelConfig& config) {
  SHOAL_CHECK_OK(model::CheckModelConfig(config));
  const std::string text = model::PrintModelConfig(config);
  const auto again = model::ParseModelConfig(text);
  SHOAL_CHECK_OK(again);
  SHOAL_CHECK(model::PrintModelConfig(*again) == text);
  if (config.num_hidden_layers > kMaxLayers) return;
  uint64_t next = 0;
  const model::Parameters parameters = model::MakeParameters(config);
  for (const ParameterInfo& info : parameters.infos) {
    SHOAL_CHECK(info.offset() == next);
    uint64_t elements = 1;
    for (uint64_t dimension : info.shape()) elements *= dimension;
    next += elements;
  }
  SHOAL_CHECK(next == parameters.size);
}

}  // namespace
}  // namespace shoal

// The first byte says whether the rest is config.json, or a tokenizer_config.json next to a valid
// config.json.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] != 't') {
    const auto config = shoal::model::ParseModelConfig(text);
    if (config.ok()) shoal::CheckConfig(*config);
    return 0;
  }
  shoal::MemoryFiles files;
  files["model/tokenizer_config.json"] = text;
  shoal::model::ModelConfig config;
  config.max_position_embeddings = 64;
  const auto length = shoal::model::ReadMaxLength(&files, "model", config);
  SHOAL_CHECK(!length.ok() || (*length >= 3 && *length <= 64));
  return 0;
}
