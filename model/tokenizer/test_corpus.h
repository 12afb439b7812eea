// Made-up text for the tests of tokenizers.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace shoal::model {

// A few hundred lines of a few words each, parts of which recur.
inline std::vector<std::string> TestCorpus() {
  const char* const stems[] = {"play", "print", "read", "stream", "parse", "compile", "render", "index"};
  const char* const ends[] = {"er", "ing", "able", "ed", "s", "ers"};
  const char* const things[] = {"music", "document", "na\u00EFve caf\u00E9", "\u4F60\u597D \u4E16\u754C",
                                "version 2.0"};
  std::vector<std::string> lines;
  for (const char* stem : stems) {
    for (const char* end : ends) {
      for (const char* thing : things)
        lines.push_back(absl::StrCat("lib", stem, ": a ", stem, end, " for ", thing));
    }
  }
  return lines;
}

inline std::vector<absl::string_view> Views(const std::vector<std::string>& lines) {
  return {lines.begin(), lines.end()};
}

}  // namespace shoal::model
