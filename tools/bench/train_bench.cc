#include "tools/bench/train_bench.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/array_pool.h"
#include "common/base/philox.h"
#include "kernels/cpu/cpu_device.h"
#include "kernels/init.h"
#include "kernels/op_profile.h"
#include "kernels/optimizer.h"
#include "model/model.h"
#include "model/parameters.h"
#include "tools/bench/bench_models.h"
#include "tools/bench/bench_precision.h"
#include "tools/bench/json_line.h"
#include "tools/bench/machine_peak.h"
#include "tools/bench/process_memory.h"
#include "tools/bench/timing.h"

namespace shoal::bench {
namespace {

constexpr uint64_t kSeed = 1;
constexpr int kWarmUpSteps = 2;

// Random tokens in examples of `length` tokens, or, with variable_length, of a quarter of it to all of it.
class RandomBatch {
 public:
  RandomBatch(const TrainOptions& options, const model::ModelConfig& config) {
    PhiloxStream lengths(DeriveKey(kSeed, "lengths")), tokens(DeriveKey(kSeed, "tokens"));
    const int64_t shortest = options.variable_length ? (options.length + 3) / 4 : options.length;
    for (int64_t b = 0; b < options.batch; ++b) {
      const auto length = static_cast<int32_t>(shortest + lengths.UniformInt(options.length - shortest + 1));
      offsets_.push_back(offsets_.back() + length);
      if (!config.causal()) classes_.push_back(static_cast<int32_t>(tokens.UniformInt(2)));
    }
    for (int32_t n = 0; n < offsets_.back(); ++n) {
      tokens_.push_back(static_cast<int32_t>(tokens.UniformInt(config.vocab_size)));
    }
  }

  model::Batch view() const {
    model::Batch batch;
    batch.tokens = tokens_;
    batch.offsets = offsets_;
    batch.classes = classes_;
    return batch;
  }

 private:
  std::vector<int32_t> tokens_, offsets_ = {0}, classes_;
};

// Where the groups' gradients are: the layers alternate between two buffers.
struct GradientPlan {
  explicit GradientPlan(const std::vector<uint64_t>& group_sizes) {
    const uint64_t largest = *std::max_element(group_sizes.begin() + 1, group_sizes.end());
    for (size_t group = 0; group < group_sizes.size(); ++group)
      begins.push_back(group == 0 ? 0 : group_sizes[0] + (group % 2) * largest);
    size = group_sizes[0] + 2 * largest;
  }

  std::vector<uint64_t> begins;
  uint64_t size = 0;
};

// A worker and its server in one, with nothing between them: a group of parameters is updated as soon as its
// gradient is final.
class Trainer {
 public:
  Trainer(kernels::CpuDevice& device, const model::ModelConfig& config, kernels::DType activations,
          const TrainOptions& options)
      : device_(device),
        batch_(options, config),
        model_(model::MakeModel(&device, config, {batch_.view().token_count(), options.batch}, activations)),
        parameters_(model::MakeParameters(config)),
        gradient_plan_(parameters_.group_sizes),
        theta_(Zeros(parameters_.size)),
        gradient_(Zeros(gradient_plan_.size)),
        first_moment_(Zeros(parameters_.size)),
        second_moment_(Zeros(parameters_.size)) {
    kernels::FillNormal(DeriveKey(kSeed, "weights"), 0, 0, 0.02f,
                        absl::MakeSpan(theta_.get(), parameters_.size));
  }

  void Step() {
    ++step_;
    model::MicroBatch step;
    step.theta = theta_.get();
    step.batch = batch_.view();
    step.dropout.key = DeriveKey(kSeed, "dropout", {step_});
    step.gradient = gradient_.get();
    step.gradient_offsets = gradient_plan_.begins;
    kernels::LossSum loss;
    model_->Forward(
        step, [](int) { return true; }, &loss);
    model_->Backward([&](int group) { Update(group, static_cast<double>(loss.rows)); });
    loss_ = loss.loss / static_cast<double>(loss.rows);
  }

  model::Batch batch() const { return batch_.view(); }
  int64_t parameters() const { return static_cast<int64_t>(parameters_.size); }
  double loss() const { return loss_; }

 private:
  static FloatArray Zeros(uint64_t size) {
    FloatArray array = ArrayPool::Create()->Acquire(size);
    std::fill_n(array.get(), size, 0.0f);
    return array;
  }

  void Update(int group, double weight) {
    constexpr int64_t kPiece = 1 << 16;  // elements per work item
    kernels::OptimizerStep step;
    step.step = step_;
    step.learning_rate = 1e-4;
    step.gradient_scale = 1 / weight;
    const auto size = static_cast<int64_t>(parameters_.group_sizes[group]);
    const std::vector<uint64_t>& begins = parameters_.group_begins;
    const kernels::OpTimer timer(device_.profile(), "optimizer",
                                 {0, 7.0 * sizeof(float) * static_cast<double>(size)});
    device_.pool().ParallelFor(CutCount(size, kPiece), [&](int64_t item, int) {
      const auto piece = [&](const FloatArray& x, const std::vector<uint64_t>& at) {
        return absl::MakeSpan(x.get() + at[group], size).subspan(item * kPiece, kPiece);
      };
      const absl::Span<float> theta = piece(theta_, begins);
      kernels::UpdateParameters(kernels::OptimizerConfig(), step,
                                {theta, piece(gradient_, gradient_plan_.begins), piece(first_moment_, begins),
                                 piece(second_moment_, begins), theta});
    });
  }

  kernels::CpuDevice& device_;
  const RandomBatch batch_;
  const std::unique_ptr<model::Model> model_;
  const model::Parameters parameters_;
  const GradientPlan gradient_plan_;
  const FloatArray theta_, gradient_, first_moment_, second_moment_;
  uint64_t step_ = 0;
  double loss_ = 0;
};

void PrintProfile(const kernels::OpProfile& profile, double seconds, const MachinePeak& peak) {
  std::vector<kernels::OpTotals> ops(profile.totals().begin(), profile.totals().end());
  std::sort(ops.begin(), ops.end(), [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  double rest = seconds;
  for (const kernels::OpTotals& op : ops) {
    rest -= op.seconds;
    JsonLine line("train_op");
    line.Text("op", op.name).Integer("calls", op.calls).Number("share", op.seconds / seconds);
    if (op.work.flops > 0) {
      line.Number("gflops", op.work.flops / op.seconds * 1e-9).Number("machine_gflops", peak.gflops);
    }
    line.Number("gigabytes_per_second", op.work.bytes / op.seconds * 1e-9)
        .Number("machine_gigabytes_per_second", peak.gigabytes_per_second)
        .Print();
  }
  JsonLine("train_op").Text("op", "all else").Number("share", rest / seconds).Print();
}

void Measure(kernels::CpuDevice& device, const model::ModelConfig& config, kernels::DType activations,
             const TrainOptions& options) {
  Trainer trainer(device, config, activations, options);
  for (int i = 0; i < kWarmUpSteps; ++i) trainer.Step();
  const int64_t allocations = device.counters().scratch_allocations;
  kernels::OpProfile profile;
  if (options.profile) device.set_profile(&profile);
  double seconds = 0, fastest = std::numeric_limits<double>::infinity();
  for (int i = 0; i < options.steps; ++i) {
    const double step = SecondsOf([&] { trainer.Step(); });
    seconds += step;
    fastest = std::min(fastest, step);
  }
  device.set_profile(nullptr);
  const model::Batch batch = trainer.batch();
  const double per_second = options.steps / seconds;
  JsonLine("train")
      .Text("model", options.model)
      .Text("precision", options.precision)
      .Text("device", device.Describe())
      .Integer("parameters", trainer.parameters())
      .Integer("batch", options.batch)
      .Integer("length", options.length)
      .Integer("batch_tokens", batch.token_count())
      .Integer("threads", options.threads)
      .Integer("steps", options.steps)
      .Number("tokens_per_second", static_cast<double>(batch.token_count()) * per_second)
      .Number("fastest_step_tokens_per_second", static_cast<double>(batch.token_count()) / fastest)
      .Number("examples_per_second", static_cast<double>(batch.example_count()) * per_second)
      .Number("gflops", TrainingFlops(config, batch.offsets) * per_second * 1e-9)
      .Integer("peak_memory_bytes", PeakMemory_bytes())
      .Integer("scratch_allocations", device.counters().scratch_allocations - allocations)
      .Number("loss", trainer.loss())
      .Print();
  if (options.profile) PrintProfile(profile, seconds, MeasureMachinePeak(device, activations));
}

absl::Status Check(const TrainOptions& options, const model::ModelConfig& config) {
  if (options.length > config.max_position_embeddings) {
    return absl::InvalidArgumentError(absl::StrCat("--length ", options.length, ": the model takes at most ",
                                                   config.max_position_embeddings));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunTrain(const TrainOptions& options) {
  const auto config = BenchModel(options.model);
  if (!config.ok()) return config.status();
  const auto activations = ParsePrecision(options.precision);
  if (!activations.ok()) return activations.status();
  const absl::Status checked = Check(options, *config);
  if (!checked.ok()) return checked;
  const auto device = MakeBenchDevice(options.threads);
  if (!device.ok()) return device.status();
  Measure(**device, *config, *activations, options);
  return absl::OkStatus();
}

}  // namespace shoal::bench
