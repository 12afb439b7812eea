// The text of the checkout under test, for tests that read it.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace shoal {

// The checkout's root. The test has //:WORKSPACE as data, which Bazel provides as a link into the checkout.
std::filesystem::path CheckoutRoot();

// The files with one of `suffixes` in the root itself or below `folders`, by their path from the root. Fails
// the test when one can't be read.
std::map<std::string, std::string> ReadCheckout(const std::vector<std::string>& folders,
                                                const std::vector<std::string>& suffixes);

}  // namespace shoal
