// The border between model/ and kernels/: model/ passes tensors to ops and never reads or writes their
// elements, so that a tensor may be in the memory of any device; and it includes no backend.
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "catch2/catch.hpp"
#include "tests/dependencies/checkout.h"

namespace shoal {
namespace {

constexpr const char* kAcrossTheBorder[] = {
    // pointers to a tensor's elements, and to those of θ and its gradient
    ".data()", "->data()", "f32()", "bf16()", "i32()", ".as<", "theta[", "gradient[", "*theta", "*gradient",
    "theta.begin(", "theta.end(", "gradient.begin(", "gradient.end(",
    // what reads or writes through them
    "memcpy", "memset", "copy_n", "fill_n", "reinterpret_cast", "const_cast", "static_cast<float*>",
    // work on a part of an op
    "GemmTile", "Epilogue", "OnThread", "ParallelFor",
    // backends
    "\"kernels/cpu", "\"kernels/cuda"};

// Headers of tests, which compare elements.
const std::set<std::string> kTestHeaders = {"model/layers/branch_harness.h", "model/layers/layer_harness.h",
                                            "model/layers/plain_layers.h", "model/model_harness.h",
                                            "model/model_oracle.h"};

// Sources whose work is the parameters of a model in the host's memory, as files and messages have them.
const std::set<std::string> kHostSources = {"model/hugging_face.cc", "model/lora.cc",
                                            "model/trainable_parameters.cc"};

// The lines of code in `sources` that match kAcrossTheBorder.
std::vector<std::string> LinesAcross(const std::map<std::string, std::string>& sources) {
  std::vector<std::string> found;
  for (const auto& [path, text] : sources) {
    int line_number = 0;
    for (const absl::string_view line : absl::StrSplit(text, '\n')) {
      ++line_number;
      const absl::string_view code = line.substr(0, line.find("//"));
      for (const char* pattern : kAcrossTheBorder) {
        if (absl::StrContains(code, pattern))
          found.push_back(absl::StrCat(path, ":", line_number, ": ", std::string(line)));
      }
    }
  }
  return found;
}

TEST_CASE("model/ looks into no tensor, gives no op a part of its work, and includes no backend") {
  std::map<std::string, std::string> sources;
  std::set<std::string> headers_of_tests, of_host;
  for (const auto& [path, text] : ReadCheckout({"model"}, {".cc", ".h"})) {
    if (!absl::StartsWith(path, "model/") || absl::StartsWith(path, "model/tokenizer/")) continue;
    if (absl::EndsWith(path, "_test.cc")) continue;
    if (kTestHeaders.count(path) > 0) {
      headers_of_tests.insert(path);
    } else if (kHostSources.count(path) > 0) {
      of_host.insert(path);
    } else {
      sources.emplace(path, text);
    }
  }
  REQUIRE(sources.size() > 30);
  const std::vector<std::string> found = LinesAcross(sources);
  for (const std::string& line : found) UNSCOPED_INFO(line);
  CHECK(found.empty());
  // An exemption that is no longer needed would hide later violations.
  CHECK(headers_of_tests == kTestHeaders);
  CHECK(of_host == kHostSources);
}

TEST_CASE("The search finds each way across") {
  for (const char* pattern : kAcrossTheBorder) {
    INFO(pattern);
    CHECK(LinesAcross({{"file", absl::StrCat("x = ", pattern, ";")}}).size() >= 1);
    CHECK(LinesAcross({{"file", absl::StrCat("// ", pattern)}}).empty());
  }
  CHECK(LinesAcross({{"file", "const float* theta = nullptr;"}}).empty());
}

}  // namespace
}  // namespace shoal
