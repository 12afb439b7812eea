#include "tests/dependencies/checkout.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "catch2/catch.hpp"
#include "common/storage/file.h"

namespace shoal {

namespace fs = std::filesystem;

fs::path CheckoutRoot() { return fs::canonical("WORKSPACE").parent_path(); }

std::map<std::string, std::string> ReadCheckout(const std::vector<std::string>& folders,
                                                const std::vector<std::string>& suffixes) {
  const fs::path root = CheckoutRoot();
  std::map<std::string, std::string> files;
  const auto add = [&](const fs::directory_entry& entry) {
    const std::string name = entry.path().lexically_relative(root);
    const bool wanted = entry.is_regular_file() &&
                        std::any_of(suffixes.begin(), suffixes.end(),
                                    [&](const std::string& suffix) { return absl::EndsWith(name, suffix); });
    if (!wanted) return;
    const auto text = PosixEnv()->ReadFile(entry.path());
    REQUIRE(text.ok());
    files[name] = *text;
  };
  for (const auto& entry : fs::directory_iterator(root)) add(entry);
  for (const std::string& folder : folders) {
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) add(entry);
  }
  return files;
}

}  // namespace shoal
