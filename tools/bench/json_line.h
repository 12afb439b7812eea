// One result as a line of JSON on standard output.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace shoal::bench {

class JsonLine {
 public:
  // Every line names its benchmark.
  explicit JsonLine(absl::string_view benchmark) { Text("benchmark", benchmark); }

  JsonLine& Text(absl::string_view name, absl::string_view value);
  JsonLine& Integer(absl::string_view name, int64_t value);
  // Four significant digits: a measurement has no more. Not finite: null.
  JsonLine& Number(absl::string_view name, double value);

  std::string ToString() const { return text_ + "}"; }
  // Writes the line and flushes.
  void Print() const;

 private:
  void Name(absl::string_view name);

  std::string text_ = "{";
};

}  // namespace shoal::bench
