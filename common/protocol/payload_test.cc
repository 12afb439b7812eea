#include "common/protocol/payload.h"

#include "catch2/catch.hpp"
#include "common/base/crc32c.h"

namespace shoal {
namespace {

std::shared_ptr<std::vector<float>> Values(uint64_t count) {
  auto values = std::make_shared<std::vector<float>>(count);
  for (uint64_t i = 0; i < count; ++i) (*values)[i] = 0.37f * static_cast<float>(i) - 11.0f;
  return values;
}

std::vector<uint8_t> BytesOf(const Payload& payload) {
  std::vector<uint8_t> bytes;
  for (const grpc::Slice& slice : payload.slices()) bytes.insert(bytes.end(), slice.begin(), slice.end());
  return bytes;
}

TEST_CASE("A payload encoded in pieces is what Encode makes of the whole, with its checksum") {
  const auto pool = ArrayPool::Create();
  const WireFormat format = GENERATE(WIRE_FORMAT_F32, WIRE_FORMAT_BF16, WIRE_FORMAT_F16);
  const auto values = Values(20001);
  std::vector<uint8_t> expected(EncodedBytes(format, values->size()));
  Encode(format, *values, absl::MakeSpan(expected));

  PayloadEncoder encoder(format, values, *values, pool.get());
  encoder.Add(1);
  encoder.Add(7000);
  encoder.Add(0);
  const PayloadEncoder::Encoded encoded = encoder.Finish();
  CHECK(BytesOf(encoded.payload) == expected);
  CHECK(encoded.crc32c == Crc32c(expected));
}

TEST_CASE("A payload of float32 refers to the elements and keeps their owner alive") {
  auto values = Values(100);
  const float* const data = values->data();
  const std::weak_ptr<std::vector<float>> alive = values;
  {
    PayloadEncoder encoder(WIRE_FORMAT_F32, values, *values, nullptr);
    const Payload payload = encoder.Finish().payload;
    values.reset();
    REQUIRE(payload.slices().size() == 1);
    CHECK(static_cast<const void*>(payload.slices()[0].begin()) == data);
    CHECK_FALSE(alive.expired());
  }
  CHECK(alive.expired());
}

}  // namespace
}  // namespace shoal
