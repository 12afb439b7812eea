// No two classes have the same name in one namespace: in one program that would be undefined behavior, and no
// compiler warns about it.
#include <map>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "catch2/catch.hpp"
#include "tests/dependencies/checkout.h"

namespace shoal {
namespace {

using Name = std::pair<std::string, std::string>;  // namespace and class

// The classes that are defined at the beginning of a line, outside of unnamed namespaces.
std::vector<Name> DefinedIn(const std::string& text) {
  static const std::regex kNamespace("namespace ([a-z_:]+) \\{");
  static const std::regex kClass("(?:class|struct) (\\w+)(?: final)?(?: : .*)? ?[{:](?:\\};)?");
  std::vector<Name> found;
  std::string space;
  bool unnamed = false;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(text, '\n'))) {
    std::smatch match;
    if (line == "namespace {") unnamed = true;
    if (line == "}  // namespace") unnamed = false;
    if (absl::StartsWith(line, "namespace ") && std::regex_match(line, match, kNamespace)) space = match[1];
    const bool is_class = absl::StartsWith(line, "class ") || absl::StartsWith(line, "struct ");
    if (is_class && !unnamed && std::regex_match(line, match, kClass)) found.emplace_back(space, match[1]);
  }
  return found;
}

TEST_CASE("No two files define a class of one name in one namespace") {
  const auto sources =
      ReadCheckout({"common", "kernels", "model", "tasks", "scheduler", "server", "worker", "tests", "tools"},
                   {".cc", ".h"});
  std::map<Name, std::string> first;
  for (const auto& [path, text] : sources) {
    if (absl::EndsWith(path, "_test.cc")) continue;  // a program of its own
    for (const Name& name : DefinedIn(text)) {
      const auto [at, added] = first.emplace(name, path);
      INFO(name.first << "::" << name.second << " in " << at->second << " and " << path);
      CHECK(added);
    }
  }
  CHECK(first.size() > 300);
}

}  // namespace
}  // namespace shoal
