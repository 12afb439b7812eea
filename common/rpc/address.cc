#include "common/rpc/address.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/utf8.h"

namespace shoal {
namespace {

bool IsNodeCharacter(char c) { return absl::ascii_isgraph(static_cast<uint8_t>(c)); }

}  // namespace

std::string AddressProblem(const std::string& address) {
  const size_t colon = address.rfind(':');
  const absl::string_view host = absl::string_view(address).substr(0, colon);
  const bool bare_ipv6 = host.find(':') != host.npos && host.back() != ']';
  int port = 0;
  if (colon != std::string::npos && !host.empty() && !bare_ipv6 &&
      absl::SimpleAtoi(absl::string_view(address).substr(colon + 1), &port) && port >= 1 && port <= 65535)
    return "";
  return absl::StrCat("expected HOST:PORT, like ", kDefaultScheduler, ", got '", address, "'");
}

std::string NodeTextProblem(absl::string_view text) {
  if (std::all_of(text.begin(), text.end(), IsNodeCharacter)) return "";
  return absl::StrCat("expected letters, digits and punctuation of ASCII, without blanks, got '",
                      ToQuoted(text), "'");
}

std::string ToNodeText(absl::string_view text) {
  if (text.empty()) return "unknown";
  std::string result(text);
  for (char& c : result) {
    if (!IsNodeCharacter(c)) c = '-';
  }
  return result;
}

bool IsWildcard(absl::string_view address) {
  const size_t colon = address.rfind(':');
  const absl::string_view host = address.substr(0, colon == address.npos ? address.size() : colon);
  return host.empty() || host == "0.0.0.0" || host == "[::]" || host == "::" || host == "*" ||
         host == "[::0]" || host == "0";
}

std::string NoSchedulerText(absl::string_view address, absl::string_view why) {
  const std::string reason = why.empty() ? "" : absl::StrCat(" (", why, ")");
  return absl::StrCat("answers at ", address, " is not a Shoal scheduler", reason);
}

}  // namespace shoal
