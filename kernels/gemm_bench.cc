// GFLOP/s of the matrix products of training, as JSON lines. Usage: gemm_bench [threads]; SHOAL_ISA and
// SHOAL_GEMM choose the path.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "kernels/gemm.h"

namespace shoal {
namespace {

struct BenchShape {
  const char* name;
  int64_t m, n, k;
  bool trans_a, trans_b;
};

constexpr BenchShape kShapes[] = {
    {"forward", 1024, 128, 128, false, true},          {"forward", 4096, 384, 384, false, true},
    {"forward", 4096, 1152, 384, false, true},         {"forward", 4096, 1536, 384, false, true},
    {"forward", 4096, 384, 1536, false, true},         {"forward", 4096, 1024, 256, false, true},
    {"forward", 1024, 3072, 768, false, true},         {"forward", 1024, 768, 3072, false, true},
    {"input_gradient", 4096, 384, 1536, false, false}, {"input_gradient", 4096, 1536, 384, false, false},
    {"input_gradient", 4096, 384, 384, false, false},  {"weight_gradient", 384, 384, 4096, true, false},
    {"weight_gradient", 1536, 384, 4096, true, false}, {"weight_gradient", 384, 1536, 4096, true, false},
    {"weight_gradient", 128, 128, 1024, true, false},  {"weight_gradient", 768, 3072, 1024, true, false},
};

// Best of several calls, after one that warms up.
absl::Duration BestTime(Device& device, const GemmArgs& args) {
  absl::Duration best = absl::InfiniteDuration();
  for (int i = 0; i < 12; ++i) {
    const absl::Time start = absl::Now();
    Gemm(device, args);
    if (i > 0) best = std::min(best, absl::Now() - start);
  }
  return best;
}

void Measure(Device& device, const BenchShape& shape) {
  std::vector<float> a(shape.m * shape.k, 0.5f), b(shape.k * shape.n, 0.25f), c(shape.m * shape.n);
  GemmArgs args;
  args.a =
      shape.trans_a ? ConstTensor(a.data(), {shape.k, shape.m}) : ConstTensor(a.data(), {shape.m, shape.k});
  args.b =
      shape.trans_b ? ConstTensor(b.data(), {shape.n, shape.k}) : ConstTensor(b.data(), {shape.k, shape.n});
  args.c = Tensor(c.data(), {shape.m, shape.n});
  args.trans_a = shape.trans_a;
  args.trans_b = shape.trans_b;
  const double seconds = absl::ToDoubleSeconds(BestTime(device, args));
  std::printf("{\"what\":\"%s\",\"m\":%ld,\"n\":%ld,\"k\":%ld,\"gflops\":%.1f}\n", shape.name, shape.m,
              shape.n, shape.k, 2e-9 * shape.m * shape.n * shape.k / seconds);
}

int Main(int argc, char** argv) {
  const auto options = DeviceOptions::FromEnvironment(argc > 1 ? std::atoi(argv[1]) : 1);
  if (!options.ok()) return std::fprintf(stderr, "%s\n", options.status().ToString().c_str()), 2;
  const auto device = Device::Create(*options);
  if (!device.ok()) return std::fprintf(stderr, "%s\n", device.status().ToString().c_str()), 1;
  std::printf("{\"device\":\"%s\"}\n", (*device)->Describe().c_str());
  for (const BenchShape& shape : kShapes) Measure(**device, shape);
  return 0;
}

}  // namespace
}  // namespace shoal

int main(int argc, char** argv) { return shoal::Main(argc, argv); }
