// The bytes of a fuzzer's input as choices, for targets that play whole sequences of events.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace shoal {

// Takes choices from the front. When the bytes are used up every choice is 0, so a sequence should end when
// done(). Not thread-safe; the bytes must outlive it.
class ByteSource {
 public:
  ByteSource(const uint8_t* data, size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

  bool done() const { return rest_.empty(); }

  uint8_t Byte() {
    if (rest_.empty()) return 0;
    const auto byte = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return byte;
  }

  // One of 0, ..., count - 1; `count` from 1 to 256.
  uint32_t Below(uint32_t count) { return Byte() % count; }

  bool Flip() { return (Byte() & 1) != 0; }

  // Mostly small; otherwise a power of two or a neighbor of one, or any number.
  uint64_t Number() {
    const uint8_t kind = Byte();
    if (kind < 160) return kind % 32;
    if (kind < 224) return (uint64_t{1} << (kind % 64)) - 1 + Below(3);
    uint64_t number = 0;
    for (int i = 0; i < 8; ++i) number = number << 8 | Byte();
    return number;
  }

  // At most `max_bytes` (at most 255) bytes, which may be anything.
  std::string Bytes(uint32_t max_bytes) {
    const absl::string_view bytes = rest_.substr(0, Below(max_bytes + 1));
    rest_.remove_prefix(bytes.size());
    return std::string(bytes);
  }

  absl::string_view Rest() {
    const absl::string_view rest = rest_;
    rest_ = {};
    return rest;
  }

 private:
  absl::string_view rest_;
};

}  // namespace shoal
