#include "kernels/linear.h"

#include <vector>

#include "catch2/catch.hpp"
#include "kernels/gemm.h"
#include "kernels/test_numbers.h"

namespace shoal::kernels {
namespace {

constexpr int64_t kRows = 150;
constexpr int64_t kInner = 40;

// Memory for rows of the given width, in f32 or bf16.
class Rows {
 public:
  Rows(DType type, int64_t columns, uint32_t seed)
      : type_(type), columns_(columns), f32_(Numbers(kRows * columns, seed)), bf16_(ToBf16s(f32_)) {}
  Tensor view() {
    return type_ == DType::kF32 ? Tensor(f32_.data(), {kRows, columns_})
                                : Tensor(bf16_.data(), {kRows, columns_});
  }
  std::vector<float> values() const { return type_ == DType::kF32 ? f32_ : ToFloats(bf16_); }

 private:
  const DType type_;
  const int64_t columns_;
  std::vector<float> f32_;
  std::vector<Bf16> bf16_;
};

void PlainProduct(Device& device, const ConstTensor& x, const ConstTensor& weight, const Tensor& y) {
  GemmArgs args;
  args.a = x;
  args.b = weight;
  args.c = y;
  args.trans_b = true;
  Gemm(device, args);
}

void CheckActivation(Device& device, DType type, int64_t columns, bool has_bias) {
  Rows x(type, kInner, 1), product(type, columns, 2), y(type, columns, 3), plain_product = product,
                                                                           plain_y = y;
  const auto weight = Numbers(columns * kInner, 4), bias = Numbers(columns, 5);
  LinearActivationArgs args;
  args.x = x.view();
  args.weight = ConstTensor(weight.data(), {columns, kInner});
  if (has_bias) args.bias = ConstTensor(bias.data(), {columns});
  args.activation = Activation::kGelu;
  args.product = product.view();
  args.y = y.view();
  LinearActivation(device, args);
  PlainProduct(device, args.x, args.weight, plain_product.view());
  ActivationForward(device, {args.activation, plain_product.view(), args.bias, plain_y.view()});
  CHECK(SameBits(product.values(), plain_product.values()));
  CHECK(SameBits(y.values(), plain_y.values()));
}

TEST_CASE("a linear map with its activation has the bits of the product and the activation") {
  const auto device = MakeDevice(3);
  for (DType type : {DType::kF32, DType::kBf16}) {
    for (int64_t columns : {37, 1500}) {
      for (bool has_bias : {false, true}) CheckActivation(*device, type, columns, has_bias);
    }
  }
}

void CheckResidualNorm(Device& device, DType type, int64_t columns) {
  Rows x(type, kInner, 1), residual(type, columns, 2), sum(type, columns, 3), y(type, columns, 4),
      plain_sum = sum, plain_y = y;
  const auto weight = Numbers(columns * kInner, 5), bias = Numbers(columns, 6), gamma = Numbers(columns, 7),
             beta = Numbers(columns, 8);
  std::vector<float> mean(kRows), rstd(kRows), plain_mean(kRows), plain_rstd(kRows);
  LinearResidualNormArgs args;
  args.x = x.view();
  args.weight = ConstTensor(weight.data(), {columns, kInner});
  args.norm.bias = ConstTensor(bias.data(), {columns});
  args.norm.residual = residual.view();
  args.norm.dropout = {0.25f, 9, 3};
  args.norm.sum = sum.view();
  args.norm.gamma = ConstTensor(gamma.data(), {columns});
  args.norm.beta = ConstTensor(beta.data(), {columns});
  args.norm.y = y.view();
  args.norm.mean = Tensor(mean.data(), {kRows});
  args.norm.rstd = Tensor(rstd.data(), {kRows});
  LinearResidualNorm(device, args);
  PlainProduct(device, args.x, args.weight, plain_sum.view());
  NormForwardArgs plain = args.norm;
  plain.x = plain_sum.view();
  plain.sum = plain_sum.view();
  plain.y = plain_y.view();
  plain.mean = Tensor(plain_mean.data(), {kRows});
  plain.rstd = Tensor(plain_rstd.data(), {kRows});
  NormForward(device, plain);
  CHECK(SameBits(sum.values(), plain_sum.values()));
  CHECK(SameBits(y.values(), plain_y.values()));
  CHECK(SameBits(Joined({mean, rstd}), Joined({plain_mean, plain_rstd})));
}

TEST_CASE("a linear map with its residual norm has the bits of the product and the norm") {
  const auto device = MakeDevice(3);
  for (DType type : {DType::kF32, DType::kBf16}) {
    for (int64_t columns : {37, 1024, 1028}) CheckResidualNorm(*device, type, columns);
  }
}

}  // namespace
}  // namespace shoal::kernels
