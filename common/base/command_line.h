// Command lines, on top of CLI11: refuses what CLI11 would silently accept.
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

// "" when `text` is not empty, else what was expected: an unset variable in a script must not select the
// default.
std::string EmptyProblem(const std::string& text);

// "" when `path` is absolute, else what was expected. For paths that other machines open.
std::string RelativeProblem(const std::string& path);

// An option (or a positional, without dashes) for a whole number from `min` to `max`, which fit an int64.
// CLI11's own conversion takes "-1" for 2^64-1, "" for 0 and "010" for 8. `value` holds the default, which
// the help shows unless it is out of range.
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

// Parses the command line. Returns -1 when the program should go on, else its exit code: 0 after --help and
// --version; 2 when the command line is wrong, after a message on standard error.
int ParseCommandLine(CLI::App* app, int argc, char** argv);

// The whole of a program's main(): the exit code of `run`, or 1 after a message on standard error if it
// throws, as it does when memory is exhausted.
int RunMain(const char* name, int (*run)(int argc, char** argv), int argc, char** argv) noexcept;

}  // namespace shoal
