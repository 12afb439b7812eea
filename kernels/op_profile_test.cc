#include "kernels/op_profile.h"

#include "catch2/catch.hpp"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "kernels/test_numbers.h"

namespace shoal::kernels {
namespace {

TEST_CASE("a profile adds up what each kernel did while the device has it") {
  const auto device = MakeDevice();
  std::vector<float> a = Numbers(6 * 4, 1), b = Numbers(4 * 5, 2), c(6 * 5);
  GemmArgs args;
  args.a = ConstTensor(a.data(), {6, 4}), args.b = ConstTensor(b.data(), {4, 5});
  args.c = Tensor(c.data(), {6, 5});
  OpProfile profile;
  Gemm(*device, args);
  CHECK(profile.totals().empty());
  device->set_profile(&profile);
  Gemm(*device, args);
  Add(*device, args.a, args.a, Tensor(a.data(), {6, 4}));
  Gemm(*device, args);
  device->set_profile(nullptr);
  Gemm(*device, args);
  REQUIRE(profile.totals().size() == 2);
  const OpTotals gemm = profile.totals()[0], add = profile.totals()[1];
  CHECK(gemm.name == "gemm");
  CHECK(gemm.calls == 2);
  CHECK(gemm.work.flops == 2 * 2 * 6 * 5 * 4);
  CHECK(gemm.work.bytes == 2 * 4 * (6 * 4 + 4 * 5 + 6 * 5));
  CHECK(gemm.seconds > 0);
  CHECK(add.calls == 1);
  CHECK(add.work.bytes == 3 * 4 * 6 * 4);
  profile.Clear();
  CHECK(profile.totals().empty());
}

}  // namespace
}  // namespace shoal::kernels
