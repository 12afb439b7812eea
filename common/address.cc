#include "common/address.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace shoal {

std::string AddressProblem(const std::string& address) {
  const size_t colon = address.rfind(':');
  const absl::string_view host = absl::string_view(address).substr(0, colon);
  const bool bare_ipv6 = host.find(':') != host.npos && host.back() != ']';
  int port = 0;
  if (colon != std::string::npos && !host.empty() && !bare_ipv6 &&
      absl::SimpleAtoi(absl::string_view(address).substr(colon + 1), &port) && port >= 1 && port <= 65535)
    return "";
  return absl::StrCat("expected HOST:PORT, like 127.0.0.1:7070, got '", address, "'");
}

}  // namespace shoal
