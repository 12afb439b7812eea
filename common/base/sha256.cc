#include "common/base/sha256.h"

#include "absl/strings/escaping.h"
#include "common/base/status.h"
#include "openssl/evp.h"

namespace shoal {

struct Sha256::Context {
  Context() : evp(EVP_MD_CTX_new()) { SHOAL_CHECK(evp != nullptr); }
  ~Context() { EVP_MD_CTX_free(evp); }
  EVP_MD_CTX* evp;
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  SHOAL_CHECK(EVP_DigestInit_ex(context_->evp, EVP_sha256(), nullptr) == 1);
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::Add(absl::string_view bytes) { Add(bytes.data(), bytes.size()); }

void Sha256::Add(const void* data, size_t size_bytes) {
  SHOAL_CHECK(EVP_DigestUpdate(context_->evp, data, size_bytes) == 1);
}

Sha256Digest Sha256::Digest() const {
  Context copy;  // finalizing ends a context
  Sha256Digest digest;
  SHOAL_CHECK(EVP_MD_CTX_copy_ex(copy.evp, context_->evp) == 1);
  SHOAL_CHECK(EVP_DigestFinal_ex(copy.evp, digest.data(), nullptr) == 1);
  return digest;
}

std::string Sha256::HexDigest() const { return ToHex(Digest()); }

std::string ToHex(const Sha256Digest& digest) {
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

std::string Sha256Hex(absl::string_view bytes) {
  Sha256 sha256;
  sha256.Add(bytes);
  return sha256.HexDigest();
}

}  // namespace shoal
