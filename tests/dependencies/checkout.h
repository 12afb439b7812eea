// The text of the checkout that is tested, for tests that read it.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace shoal {

// Where it is. The test has //:WORKSPACE as data: Bazel's copy of it is a link to the checkout's.
std::filesystem::path CheckoutRoot();

// The files with one of `suffixes` that lie in the root itself or below these of its folders, by their path
// from the root. Fails the test when one can't be read.
std::map<std::string, std::string> ReadCheckout(const std::vector<std::string>& folders,
                                                const std::vector<std::string>& suffixes);

}  // namespace shoal
