#include "common/base/sha256.h"

#include <utility>

#include "catch2/catch.hpp"

namespace shoal {
namespace {

TEST_CASE("SHA-256 of the examples of FIPS 180") {
  CHECK(Sha256Hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(Sha256Hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(Sha256Hex(std::string(1000000, 'a')) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("Pieces give the digest of the whole, and an intermediate digest may be taken") {
  Sha256 sha256;
  sha256.Add("a");
  CHECK(sha256.HexDigest() == Sha256Hex("a"));
  Sha256 moved = std::move(sha256);
  moved.Add("bc");
  CHECK(moved.HexDigest() == Sha256Hex("abc"));
  CHECK(ToHex(moved.Digest()) == moved.HexDigest());
}

}  // namespace
}  // namespace shoal
