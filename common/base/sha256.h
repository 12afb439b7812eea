// SHA-256 (FIPS 180-4), by OpenSSL.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace shoal {

using Sha256Digest = std::array<uint8_t, 32>;

// The digest of all bytes added. Not thread-safe; movable.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void Add(absl::string_view bytes);
  void Add(const void* data, size_t size_bytes);

  // The digest of what has been added so far; more may be added afterwards.
  Sha256Digest Digest() const;
  std::string HexDigest() const;

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// Lower-case hexadecimal, 64 characters.
std::string ToHex(const Sha256Digest& digest);

// The digest of `bytes` in hexadecimal.
std::string Sha256Hex(absl::string_view bytes);

}  // namespace shoal
