#include "server/block_sum.h"

#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "catch2/catch.hpp"
#include "common/base/philox.h"
#include "common/base/wire.h"
#include "common/protocol/contribution_payload.h"

namespace shoal::server {
namespace {

constexpr uint64_t kSize = 3 * kSumPiece + 100;

std::vector<float> Read(const SumFormat& format, const BlockSum& sum) {
  std::vector<float> values;
  BlockSumReader reader(format.wire, sum);
  while (values.size() < format.size) {
    const auto piece = reader.Next(std::min<uint64_t>(kSumPiece, format.size - values.size()));
    values.insert(values.end(), piece.begin(), piece.end());
  }
  return values;
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// A gradient of which about one in `sparsity` pieces is not zero, with some negative zeros.
std::vector<float> Gradient(uint64_t seed, uint64_t sparsity, WireFormat wire) {
  PhiloxStream random(DeriveKey(seed, "gradient"));
  std::vector<float> values(kSize);
  for (uint64_t begin = 0; begin < kSize; begin += PieceMap::kPiece) {
    if (random.UniformInt(sparsity) != 0) continue;
    for (uint64_t i = begin; i < std::min(kSize, begin + PieceMap::kPiece); ++i)
      values[i] = random.UniformInt(4) == 0 ? -0.0f : static_cast<float>(random.UniformInt(1000)) - 500.3f;
  }
  RoundToWire(wire, absl::MakeSpan(values));
  return values;
}

// As it arrives; `whole`: with all pieces, as if none were zero.
BlockSum SumOf(const std::vector<float>& values, const SumFormat& format, ArrayPool* pool, bool whole) {
  const auto owner = std::make_shared<std::vector<float>>(values);
  if (whole) {
    PayloadEncoder encoder(format.wire, owner, *owner, pool);
    return BlockSum(encoder.Finish().payload, PieceMap(), ContributionStats());
  }
  ContributionHeader header;
  header.set_wire(format.wire);
  Payload payload = EncodeContribution(owner, *owner, pool, &header);
  return BlockSum(std::move(payload), PieceMap::Parse(header.pieces(), format.size).value(),
                  ContributionStats());
}

// Contributions of which zeros were left out give the bits of those that have them, merged in any way.
TEST_CASE("A sum does not depend on which of its contributions' zeros were sent") {
  const WireFormat wire = GENERATE(WIRE_FORMAT_F32, WIRE_FORMAT_BF16);
  const SumFormat format = {wire, kSize};
  const auto pool = ArrayPool::Create();
  const uint64_t sparsities[] = {1, 3, 20, 400};
  for (uint64_t seed = 0; seed < 60; ++seed) {
    PhiloxStream random(DeriveKey(seed, "choices"));
    std::vector<std::vector<float>> leaves;
    for (int i = 0; i < 4; ++i)
      leaves.push_back(
          Gradient(10 * seed + static_cast<uint64_t>(i), sparsities[random.UniformInt(4)], wire));
    const auto merged = [&](bool whole) {
      const auto leaf = [&](int i) { return SumOf(leaves[i], format, pool.get(), whole); };
      const auto merge = [&](BlockSum left, BlockSum right) {
        FloatArray spare = pool->Acquire(kSize);
        // What an absent piece of the sum's memory holds must not matter.
        std::fill(spare.get(), spare.get() + kSize, 77.0f);
        return BlockSum::Merge(format, std::move(left), std::move(right), &spare);
      };
      return merge(merge(leaf(0), leaf(1)), merge(leaf(2), leaf(3)));
    };
    const BlockSum sparse = merged(false), whole = merged(true);
    CHECK(SameBits(Read(format, sparse), Read(format, whole)));
    CHECK(sparse.SquaredNorm(format) == whole.SquaredNorm(format));
    const BlockSum alone = SumOf(leaves[0], format, pool.get(), false);
    CHECK(SameBits(Read(format, alone), leaves[0]));
    CHECK(alone.SquaredNorm(format) == SumOf(leaves[0], format, pool.get(), true).SquaredNorm(format));
  }
}

}  // namespace
}  // namespace shoal::server
