#include "tools/bench/apply_bench.h"

#include <cstring>
#include <vector>

#include "common/base/thread_pool.h"
#include "kernels/optimizer.h"
#include "tools/bench/json_line.h"
#include "tools/bench/timing.h"

namespace shoal::bench {
namespace {

constexpr int64_t kPiece = 1 << 16;  // elements per work item

struct State {
  std::vector<float> parameters, gradient, first_moment, second_moment;

  explicit State(int64_t size)
      : parameters(size, 0.5f), gradient(size, 0.01f), first_moment(size), second_moment(size) {}
};

void Apply(ThreadPool& pool, uint64_t step_index, State& state) {
  kernels::OptimizerConfig config;
  config.weight_decay = 0.01;
  kernels::OptimizerStep step;
  step.step = step_index;
  step.learning_rate = 1e-4;
  const int64_t size = static_cast<int64_t>(state.parameters.size());
  pool.ParallelFor(CutCount(size, kPiece), [&](int64_t item, int) {
    const int64_t at = item * kPiece;
    const auto piece = [&](std::vector<float>& x) { return absl::MakeSpan(x).subspan(at, kPiece); };
    kernels::UpdateParameters(config, step,
                              {piece(state.parameters), piece(state.gradient), piece(state.first_moment),
                               piece(state.second_moment), piece(state.parameters)});
  });
}

void Copy(ThreadPool& pool, const std::vector<float>& from, std::vector<float>& to) {
  const int64_t size = static_cast<int64_t>(from.size());
  pool.ParallelFor(CutCount(size, kPiece), [&](int64_t item, int) {
    const int64_t at = item * kPiece, count = std::min(kPiece, size - at);
    std::memcpy(to.data() + at, from.data() + at, count * sizeof(float));
  });
}

}  // namespace

absl::Status RunApply(const ApplyOptions& options) {
  ThreadPool pool(options.threads);
  const int64_t size = (options.parameters_mib << 20) / static_cast<int64_t>(sizeof(float));
  const double moved_bytes = 7.0 * sizeof(float) * static_cast<double>(size);
  double apply_seconds = 0, copy_seconds = 0;
  {
    State state(size);
    uint64_t step = 0;
    apply_seconds = BestSeconds(options.repeats, [&] { Apply(pool, ++step, state); });
  }
  {
    std::vector<float> from(size * 7 / 2, 1.0f), to(from.size());
    copy_seconds = BestSeconds(options.repeats, [&] { Copy(pool, from, to); });
  }
  JsonLine("apply")
      .Integer("threads", options.threads)
      .Integer("parameters", size)
      .Number("apply_gigabytes_per_second", moved_bytes / apply_seconds * 1e-9)
      .Number("copy_gigabytes_per_second", moved_bytes / copy_seconds * 1e-9)
      .Number("share_of_copy", copy_seconds / apply_seconds)
      .Print();
  return absl::OkStatus();
}

}  // namespace shoal::bench
