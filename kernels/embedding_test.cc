#include "kernels/embedding.h"

#include <vector>

#include "catch2/catch.hpp"
#include "kernels/test_numbers.h"
#include "kernels/token_blocks.h"

namespace shoal::kernels {
namespace {

constexpr int64_t kTokens = 700;
constexpr int64_t kChannels = 277;  // more than one item across
constexpr int32_t kWords = 90;

// Ids of which one is far more frequent than kTokenBlock and some don't occur.
std::vector<int32_t> Ids() {
  std::vector<int32_t> ids = Integers(kTokens, kWords - 5, 1);
  for (int64_t n = 0; n < kTokens; n += 3) ids[n] = 7;
  return ids;
}

TEST_CASE("an embedding is the sum of the rows of its tables, any of which but the first may be missing") {
  const auto device = MakeDevice(2);
  constexpr int kTables = EmbeddingForwardArgs::kMaxTables;
  std::vector<float> tables[kTables];
  std::vector<int32_t> ids[kTables];
  for (int k = 0; k < kTables; ++k) {
    tables[k] = Numbers(kWords * kChannels, 2 + k);
    ids[k] = k == 0 ? Ids() : Integers(kTokens, kWords, 10 + k);
  }
  for (int present = 1; present < 1 << kTables; present += 2) {  // bit k: table k
    EmbeddingForwardArgs args;
    std::vector<float> y(kTokens * kChannels), expected(y.size());
    args.y = Tensor(y.data(), {kTokens, kChannels});
    for (int k = 0; k < kTables; ++k) {
      if ((present >> k & 1) == 0) continue;
      args.tables[k] = {ConstTensor(tables[k].data(), {kWords, kChannels}),
                        ConstTensor(ids[k].data(), {kTokens})};
      for (int64_t i = 0; i < kTokens * kChannels; ++i)
        expected[i] += tables[k][ids[k][i / kChannels] * kChannels + i % kChannels];
    }
    EmbeddingForward(*device, args);
    CHECK(SameBits(y, expected));
  }
}

std::vector<float> Gradient(Device& device, const std::vector<int32_t>& ids, const std::vector<float>& d_y) {
  std::vector<float> d_table = Numbers(kWords * kChannels, 8);
  EmbeddingBackwardArgs args;
  args.ids = ConstTensor(ids.data(), {kTokens});
  args.d_y = ConstTensor(d_y.data(), {kTokens, kChannels});
  args.d_table = Tensor(d_table.data(), {kWords, kChannels});
  EmbeddingBackward(device, args);
  return d_table;
}

TEST_CASE("an embedding's gradient adds each row's tokens in blocks, to what was there") {
  const auto device = MakeDevice(2);
  const auto ids = Ids();
  const auto d_y = Numbers(kTokens * kChannels, 7);
  std::vector<float> expected = Numbers(kWords * kChannels, 8);
  for (int32_t id = 0; id < kWords; ++id) {
    std::vector<int64_t> tokens;
    for (int64_t n = 0; n < kTokens; ++n) {
      if (ids[n] == id) tokens.push_back(n);
    }
    for (int64_t c = 0; c < kChannels && !tokens.empty(); ++c) {
      float total = 0, block = 0;
      for (size_t i = 0; i < tokens.size(); ++i) {
        block += d_y[tokens[i] * kChannels + c];
        if ((i + 1) % kTokenBlock == 0 || i + 1 == tokens.size()) total += block, block = 0;
      }
      expected[id * kChannels + c] += total;
    }
  }
  CHECK(SameBits(Gradient(*device, ids, d_y), expected));
}

TEST_CASE("an embedding's gradient has the same bits on any number of threads and instruction set") {
  const auto ids = Ids();
  const auto d_y = Numbers(kTokens * kChannels, 7);
  CheckSameBitsEverywhere([&](Device& device) { return Gradient(device, ids, d_y); });
}

TEST_CASE("an embedding's gradient copes with one id alone and with none repeated") {
  const auto device = MakeDevice(2);
  const std::vector<float> ones(kTokens * kChannels, 1.0f);
  const std::vector<int32_t> same(kTokens, 3);
  const auto before = Numbers(kWords * kChannels, 8), after = Gradient(*device, same, ones);
  for (int64_t i = 0; i < kWords * kChannels; ++i) {
    CHECK((i / kChannels == 3 ? before[i] + kTokens : before[i]) == after[i]);
  }
}

TEST_CASE("rows gathered and scattered are copies; scattering leaves zero elsewhere") {
  const auto device = MakeDevice(2);
  const auto all = Numbers(kTokens * kChannels, 1);
  const std::vector<int32_t> rows = {5, 0, kTokens - 1, 77};
  const int64_t count = static_cast<int64_t>(rows.size());
  std::vector<float> some(count * kChannels), back(all.size(), 9.0f), expected(all.size(), 0.0f);
  const ConstTensor row_view(rows.data(), {count});
  GatherRows(*device, ConstTensor(all.data(), {kTokens, kChannels}), row_view,
             Tensor(some.data(), {count, kChannels}));
  ScatterRows(*device, ConstTensor(some.data(), {count, kChannels}), row_view,
              Tensor(back.data(), {kTokens, kChannels}));
  for (int32_t row : rows) {
    for (int64_t c = 0; c < kChannels; ++c) expected[row * kChannels + c] = all[row * kChannels + c];
  }
  CHECK(SameBits(back, expected));
}

}  // namespace
}  // namespace shoal::kernels
