#include "tools/bench/json_line.h"

#include <cmath>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace shoal::bench {
namespace {

std::string Quoted(absl::string_view text) {
  std::string quoted = "\"";
  for (unsigned char c : text) {
    if (c < 0x20) {
      absl::StrAppendFormat(&quoted, "\\u%04x", c);
      continue;
    }
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += static_cast<char>(c);
  }
  return quoted + "\"";
}

}  // namespace

void JsonLine::Name(absl::string_view name) {
  absl::StrAppend(&text_, text_.size() > 1 ? "," : "", Quoted(name), ":");
}

JsonLine& JsonLine::Text(absl::string_view name, absl::string_view value) {
  Name(name);
  text_ += Quoted(value);
  return *this;
}

JsonLine& JsonLine::Integer(absl::string_view name, int64_t value) {
  Name(name);
  absl::StrAppend(&text_, value);
  return *this;
}

JsonLine& JsonLine::Number(absl::string_view name, double value) {
  Name(name);
  if (!std::isfinite(value)) {
    text_ += "null";
  } else {  // four digits, and all digits before the point
    absl::StrAppend(&text_,
                    std::abs(value) < 1000 ? absl::StrFormat("%.4g", value) : absl::StrFormat("%.0f", value));
  }
  return *this;
}

void JsonLine::Print() const {
  std::puts(ToString().c_str());
  std::fflush(stdout);
}

}  // namespace shoal::bench
