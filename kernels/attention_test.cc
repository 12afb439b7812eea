#include "kernels/attention.h"

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "kernels/test_numbers.h"

namespace shoal::kernels {
namespace {

// One word of Philox4x32-10, as in the paper.
uint32_t PhiloxWord(uint64_t key, uint32_t c0, uint32_t c1, uint32_t c2, int word) {
  uint32_t c[4] = {c0, c1, c2, 0}, k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c[0], p1 = uint64_t{0xCD9E8D57u} * c[2];
    const uint32_t next[4] = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(p1),
                              static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(p0)};
    std::memcpy(c, next, sizeof(c));
  }
  return c[word];
}

struct Problem {
  int64_t heads, head_dim;
  std::vector<int32_t> offsets;
  bool causal = false;
  float rate = 0;
  std::vector<int32_t> attended = {};

  int64_t tokens() const { return offsets.back(); }
  int64_t channels() const { return heads * head_dim; }
  AttentionShape Shape() const {
    AttentionShape shape;
    shape.heads = heads;
    shape.head_dim = head_dim;
    shape.causal = causal;
    shape.dropout.rate = rate;
    shape.dropout.key = 0x123456789abcdef0u;
    shape.dropout.first_example = 5;
    shape.offsets = offsets;
    shape.attended = attended;
    return shape;
  }
};

// Factor of a probability: 0 or 1 / probability to keep.
double KeepFactor(const Problem& p, int64_t example, int64_t head, int64_t query, int64_t key) {
  if (p.rate == 0) return 1;
  const AttentionDropout dropout = p.Shape().dropout;
  const int64_t blocks = (p.offsets[example + 1] - p.offsets[example] + 15) / 16;
  const int64_t block = query * blocks + key / 16;
  const uint32_t word =
      PhiloxWord(dropout.key, static_cast<uint32_t>(block / 8 * 16 + key % 16), static_cast<uint32_t>(head),
                 static_cast<uint32_t>(dropout.first_example + example), static_cast<int>(block % 8 / 2));
  const uint32_t bits = block % 2 == 0 ? word & 0xffff : word >> 16;
  const double drop = std::lround(p.rate * 65536);
  return bits >= drop ? 65536 / (65536 - drop) : 0;
}

// Attention by its formula, in f64, without tiles.
template <typename T>
std::vector<double> Oracle(const Problem& p, const std::vector<T>& qkv) {
  const int64_t c = p.channels();
  std::vector<double> out(p.tokens() * c, 0.0);
  for (int64_t b = 0; b + 1 < static_cast<int64_t>(p.offsets.size()); ++b) {
    const int64_t first = p.offsets[b], length = p.offsets[b + 1] - first;
    const auto at = [&](int64_t part, int64_t token, int64_t channel) -> double {
      return qkv[(first + token) * 3 * c + part * c + channel];
    };
    for (int64_t h = 0; h < p.heads; ++h) {
      for (int64_t i = 0; i < length; ++i) {
        const int64_t seen = p.attended.empty() ? length : p.attended[b];
        const int64_t keys = p.causal ? std::min(seen, i + 1) : seen;
        std::vector<double> weights(keys);
        double sum = 0;
        for (int64_t j = 0; j < keys; ++j) {
          double score = 0;
          for (int64_t d = 0; d < p.head_dim; ++d)
            score += at(0, i, h * p.head_dim + d) * at(1, j, h * p.head_dim + d);
          sum += weights[j] = std::exp(score / std::sqrt(static_cast<double>(p.head_dim)));
        }
        for (int64_t j = 0; j < keys; ++j) {
          const double weight = weights[j] / sum * KeepFactor(p, b, h, i, j);
          for (int64_t d = 0; d < p.head_dim; ++d) {
            out[(first + i) * c + h * p.head_dim + d] += weight * at(2, j, h * p.head_dim + d);
          }
        }
      }
    }
  }
  return out;
}

struct Result {
  std::vector<float> out, statistics, d_qkv;
};

// Numbers as f32 or bf16.
class Array {
 public:
  Array(DType type, const std::vector<float>& numbers) : type_(type), f32_(numbers) {
    for (float x : numbers) bf16_.push_back(ToBf16(x));
  }
  Array(DType type, int64_t size) : type_(type), f32_(size), bf16_(size) {}

  Tensor View(int64_t rows, int64_t columns) {
    return type_ == DType::kF32 ? Tensor(f32_.data(), {rows, columns})
                                : Tensor(bf16_.data(), {rows, columns});
  }
  std::vector<float> Values() const {
    if (type_ == DType::kF32) return f32_;
    std::vector<float> values;
    for (Bf16 x : bf16_) values.push_back(ToFloat(x));
    return values;
  }

 private:
  const DType type_;
  std::vector<float> f32_;
  std::vector<Bf16> bf16_;
};

Result Run(Device& device, const Problem& p, const std::vector<float>& qkv, const std::vector<float>& d_out,
           DType type = DType::kF32) {
  const int64_t n = p.tokens(), c = p.channels();
  Array in(type, qkv), out(type, n * c), d_output(type, d_out), d_qkv(type, n * 3 * c);
  Result r;
  r.statistics.resize(n * 2 * p.heads);
  AttentionForwardArgs forward;
  forward.shape = p.Shape();
  forward.qkv = in.View(n, 3 * c);
  forward.out = out.View(n, c);
  forward.statistics = Tensor(r.statistics.data(), {n, 2 * p.heads});
  AttentionForward(device, forward);
  AttentionBackwardArgs backward;
  backward.shape = p.Shape();
  backward.qkv = forward.qkv;
  backward.out = forward.out;
  backward.statistics = forward.statistics;
  backward.d_out = d_output.View(n, c);
  backward.d_qkv = d_qkv.View(n, 3 * c);
  AttentionBackward(device, backward);
  r.out = out.Values();
  r.d_qkv = d_qkv.Values();
  return r;
}

std::string Name(const Problem& p) {
  return "N=" + std::to_string(p.tokens()) + " H=" + std::to_string(p.heads) +
         " D=" + std::to_string(p.head_dim) + (p.causal ? " causal" : "") + (p.rate > 0 ? " dropout" : "") +
         (p.attended.empty() ? "" : " padded");
}

std::vector<Problem> Problems() {
  std::vector<Problem> problems;
  for (bool causal : {false, true}) {
    for (float rate : {0.0f, 0.25f}) {
      problems.push_back({2, 8, {0, 1, 6, 6, 23}, causal, rate});
      problems.push_back({1, 20, {0, 130}, causal, rate});
      problems.push_back({1, 32, {0, 17, 17 + 300}, causal, rate});
      problems.push_back({2, 8, {0, 1, 6, 6, 23}, causal, rate, {1, 3, 0, 9}});
      problems.push_back({1, 32, {0, 17, 17 + 300}, causal, rate, {17, 150}});
    }
  }
  return problems;
}

TEST_CASE("attention's output is that of the formula, for every length, mask and dropout") {
  const auto device = MakeDevice(2);
  for (const Problem& p : Problems()) {
    INFO(Name(p));
    const auto qkv = Numbers(p.tokens() * 3 * p.channels(), 11);
    const auto result = Run(*device, p, qkv, Numbers(p.tokens() * p.channels(), 12));
    const auto expected = Oracle(p, qkv);
    double worst = 0;
    for (size_t i = 0; i < expected.size(); ++i)
      worst = std::max(worst, std::abs(expected[i] - result.out[i]));
    CHECK(worst < 2e-6);
  }
}

TEST_CASE("attention's gradients are the central differences of the formula") {
  const auto device = MakeDevice();
  for (const Problem& p : Problems()) {
    INFO(Name(p));
    const auto qkv = Numbers(p.tokens() * 3 * p.channels(), 11);
    const auto d_out = Numbers(p.tokens() * p.channels(), 12);
    const auto result = Run(*device, p, qkv, d_out);
    const auto loss = [&](const std::vector<double>& x) {
      const auto out = Oracle(p, x);
      double sum = 0;
      for (size_t i = 0; i < out.size(); ++i) sum += out[i] * d_out[i];
      return sum;
    };
    // Along a few directions rather than along each axis: the whole gradient takes part in each.
    for (uint32_t seed = 0; seed < 3; ++seed) {
      const auto direction = Numbers(static_cast<int64_t>(qkv.size()), 100 + seed);
      std::vector<double> more(qkv.begin(), qkv.end()), less = more;
      double expected = 0, norm = 0;
      const double step = 1e-4;
      for (size_t i = 0; i < qkv.size(); ++i) {
        more[i] += step * direction[i];
        less[i] -= step * direction[i];
        expected += static_cast<double>(result.d_qkv[i]) * direction[i];
        norm += static_cast<double>(result.d_qkv[i]) * result.d_qkv[i];
      }
      CHECK(std::abs((loss(more) - loss(less)) / (2 * step) - expected) < 1e-5 * (1 + std::sqrt(norm)));
    }
  }
}

double Distance(const std::vector<float>& a, const std::vector<float>& b) {
  double distance = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    distance += (a[i] - b[i]) * static_cast<double>(a[i] - b[i]);
    norm += static_cast<double>(b[i]) * b[i];
  }
  return std::sqrt(distance / norm);
}

// bf16 has 8 bits of precision: the relative error of a rounding is at most 2^-9.
TEST_CASE("attention in bf16 is that in f32 of the same numbers, but for the roundings of bf16") {
  const auto device = MakeDevice(2);
  for (const Problem& p : Problems()) {
    INFO(Name(p));
    const auto qkv = Array(DType::kBf16, Numbers(p.tokens() * 3 * p.channels(), 11)).Values();
    const auto d_out = Array(DType::kBf16, Numbers(p.tokens() * p.channels(), 12)).Values();
    const Result expected = Run(*device, p, qkv, d_out), result = Run(*device, p, qkv, d_out, DType::kBf16);
    CHECK(Distance(result.statistics, expected.statistics) < 1e-5);
    CHECK(Distance(result.out, expected.out) < 3.0 / 512);
    CHECK(Distance(result.d_qkv, expected.d_qkv) < 3.0 / 512);
  }
}

std::vector<Result> RunAll(int threads, const std::string& isa, DType type) {
  const auto device = MakeDevice(threads, isa);
  std::vector<Result> results;
  for (const Problem& p : Problems()) {
    if (device == nullptr) break;
    results.push_back(Run(*device, p, Numbers(p.tokens() * 3 * p.channels(), 21),
                          Numbers(p.tokens() * p.channels(), 22), type));
  }
  return results;
}

TEST_CASE("attention has the same bits on every instruction set and number of threads") {
  for (DType type : {DType::kF32, DType::kBf16}) {
    const auto expected = RunAll(1, "avx2", type);
    for (const auto& [threads, isa] :
         {std::pair<int, const char*>{3, "avx2"}, {1, "avx512"}, {2, "avx512"}, {2, "avx512-bf16"}}) {
      const auto results = RunAll(threads, isa, type);
      for (size_t i = 0; i < results.size(); ++i) {
        INFO(Name(Problems()[i]) << " " << DTypeName(type) << " " << isa);
        CHECK(results[i].out == expected[i].out);
        CHECK(results[i].statistics == expected[i].statistics);
        CHECK(results[i].d_qkv == expected[i].d_qkv);
      }
    }
  }
}

TEST_CASE("an example's result does not depend on the others of its batch") {
  const auto device = MakeDevice();
  const Problem both{2, 16, {0, 40, 90}, false, 0.0f}, second{2, 16, {0, 50}, false, 0.0f};
  const auto qkv = Numbers(both.tokens() * 3 * both.channels(), 31);
  const auto d_out = Numbers(both.tokens() * both.channels(), 32);
  const Result together = Run(*device, both, qkv, d_out);
  const Result alone =
      Run(*device, second, {qkv.begin() + 40 * 3 * 32, qkv.end()}, {d_out.begin() + 40 * 32, d_out.end()});
  CHECK(std::vector<float>(together.out.begin() + 40 * 32, together.out.end()) == alone.out);
  CHECK(std::vector<float>(together.d_qkv.begin() + 40 * 3 * 32, together.d_qkv.end()) == alone.d_qkv);
}

TEST_CASE("large scores neither overflow nor lose the rest") {
  const auto device = MakeDevice();
  const Problem p{1, 8, {0, 200}, false, 0.0f};
  auto qkv = Numbers(p.tokens() * 3 * p.channels(), 41);
  for (float& x : qkv) x *= 60;  // scores up to about 10,000
  const auto result = Run(*device, p, qkv, Numbers(p.tokens() * p.channels(), 42));
  for (float x : result.out) REQUIRE(std::abs(x) <= 60.01f);
  for (float x : result.d_qkv) REQUIRE(std::isfinite(x));
}

}  // namespace
}  // namespace shoal::kernels
