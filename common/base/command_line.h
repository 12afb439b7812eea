// Command lines, on top of CLI11: what it would take in silence is refused.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace shoal {

// "" when `text` is a whole number in decimal from `min` to `max`, else what was expected.
std::string NumberProblem(const std::string& text, int64_t min, int64_t max);

// "" when `text` is not empty, else what was expected: an unset variable of a script must not become the
// default.
std::string EmptyProblem(const std::string& text);

// "" when `path` starts at the root, else what was expected: of a path that other machines are to open.
std::string RelativeProblem(const std::string& path);

// An option (or a positional, without dashes) for a whole number from `min` to `max`, at most those of an
// int64. CLI11's own conversion takes "-1" for 2^64-1, "" for 0 and "010" for 8. `value` holds the default,
// which the help shows unless it is out of range.
template <typename T>
CLI::Option* AddNumberOption(CLI::App* app, const std::string& name, T* value, int64_t min, int64_t max,
                             const std::string& help) {
  CLI::Option* const option = app->add_option_function<std::string>(
      name, [value](const std::string& text) { (void)absl::SimpleAtoi(text, value); }, help);
  option->type_name("NUMBER")->check(
      [min, max](const std::string& text) { return NumberProblem(text, min, max); });
  const auto shown = static_cast<int64_t>(*value);
  if (shown >= min && shown <= max) option->default_str(absl::StrCat(shown));
  return option;
}

// Parses the command line. Returns -1, or, when nothing is left to be done, the exit code: 0 after --help and
// --version, 2 after a message on standard error about a wrong command line.
int ParseCommandLine(CLI::App* app, int argc, char** argv);

}  // namespace shoal
