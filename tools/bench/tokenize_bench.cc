#include "tools/bench/tokenize_bench.h"

#include <memory>

#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/storage/file.h"
#include "model/tokenizer/pretrained_tokenizer.h"
#include "tools/bench/json_line.h"
#include "tools/bench/timing.h"

namespace shoal::bench {
namespace {

absl::StatusOr<std::vector<std::string>> ReadLines(const std::vector<std::string>& files) {
  std::vector<std::string> lines;
  for (const std::string& file : files) {
    SHOAL_ASSIGN_OR_RETURN(const std::string text, PosixEnv()->ReadFile(file));
    for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) lines.emplace_back(line);
  }
  return lines;
}

}  // namespace

absl::Status RunTokenize(const TokenizeOptions& options) {
  SHOAL_ASSIGN_OR_RETURN(const std::vector<std::string> lines, ReadLines(options.texts));
  uint64_t bytes = 0;
  for (const std::string& line : lines) bytes += line.size();
  for (const std::string& path : options.tokenizers) {
    SHOAL_ASSIGN_OR_RETURN(const std::unique_ptr<model::PipelineTokenizer> tokenizer,
                           model::ReadPipeline(PosixEnv(), path));
    uint64_t tokens = 0;
    const double seconds = BestSeconds(options.repeats, [&] {
      tokens = 0;
      for (const std::string& line : lines) tokens += tokenizer->Encode(line).ids.size();
    });
    JsonLine("tokenize")
        .Text("tokenizer", path)
        .Integer("lines", static_cast<int64_t>(lines.size()))
        .Integer("tokens", static_cast<int64_t>(tokens))
        .Number("tokens_per_second", static_cast<double>(tokens) / seconds)
        .Number("megabytes_per_second", static_cast<double>(bytes) / seconds * 1e-6)
        .Print();
  }
  return absl::OkStatus();
}

}  // namespace shoal::bench
