// Cases for the tests: what `tokenizers` makes of a text, as in ../shared/tokenizers.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "catch2/catch.hpp"
#include "common/storage/file.h"
#include "model/tokenizer/pipeline/pipeline_files.h"
#include "nlohmann/json.hpp"

namespace shoal::model {

using TestJson = nlohmann::json;

template <typename T>
T Ok(absl::StatusOr<T> result) {
  INFO(result.status().ToString());
  REQUIRE(result.ok());
  return *std::move(result);
}

// The lines of a file, each of which is a value.
inline std::vector<TestJson> ReadJsonLines(const std::string& path) {
  std::vector<TestJson> values;
  const std::string text = Ok(PosixEnv()->ReadFile(path));
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    values.push_back(TestJson::parse(line, nullptr, /*allow_exceptions=*/false));
    REQUIRE(values.back().is_object());
  }
  return values;
}

inline Encoding EncodeCase(const PipelineTokenizer& tokenizer, const TestJson& test) {
  const std::string text = test["text"];
  if (!test.contains("pair")) return tokenizer.Encode(text);
  return tokenizer.EncodePair(text, test["pair"].get<std::string>());
}

inline TestJson OffsetsJson(const Encoding& encoding) {
  TestJson offsets = TestJson::array();
  for (const TextSpan& span : encoding.offsets) offsets.push_back({span.begin, span.end});
  return offsets;
}

inline void CheckCase(const PipelineTokenizer& tokenizer, const TestJson& test) {
  INFO(test["text"].dump());
  const Encoding encoding = EncodeCase(tokenizer, test);
  CHECK(TestJson(encoding.ids) == test["ids"]);
  if (test.contains("type_ids")) CHECK(TestJson(encoding.type_ids) == test["type_ids"]);
  if (test.contains("offsets")) CHECK(OffsetsJson(encoding) == test["offsets"]);
  CHECK(encoding.sources.size() == encoding.ids.size());
  CHECK(tokenizer.Decode(test["ids"].get<std::vector<uint32_t>>()) == test["decoded"].get<std::string>());
}

}  // namespace shoal::model
