#include "tools/bench/train_bench.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/philox.h"
#include "kernels/device.h"
#include "kernels/init.h"
#include "kernels/op_profile.h"
#include "kernels/optimizer.h"
#include "model/model.h"
#include "model/parameters.h"
#include "tools/bench/bench_models.h"
#include "tools/bench/json_line.h"
#include "tools/bench/process_memory.h"
#include "tools/bench/timing.h"

namespace shoal {
namespace {

constexpr uint64_t kSeed = 1;
constexpr int kWarmUpSteps = 2;

// Random tokens of `batch` examples of one length.
class RandomBatch {
 public:
  RandomBatch(int64_t batch, int64_t length, int64_t vocab_size) {
    PhiloxStream stream(DeriveKey(kSeed, "tokens"));
    for (int64_t n = 0; n < batch * length; ++n) {
      tokens_.push_back(static_cast<int32_t>(stream.UniformInt(vocab_size)));
    }
    for (int64_t b = 0; b <= batch; ++b) offsets_.push_back(static_cast<int32_t>(b * length));
    for (int64_t b = 0; b < batch; ++b) classes_.push_back(static_cast<int32_t>(stream.UniformInt(2)));
  }

  Batch view() const {
    Batch batch;
    batch.tokens = tokens_;
    batch.offsets = offsets_;
    batch.classes = classes_;
    return batch;
  }

 private:
  std::vector<int32_t> tokens_, offsets_, classes_;
};

// A worker and its server in one, without anything between them.
class Trainer {
 public:
  Trainer(Device& device, const ModelConfig& config, const TrainOptions& options)
      : device_(device),
        batch_(options.batch, options.length, config.vocab_size),
        model_(MakeModel(&device, config, {options.batch * options.length, options.batch})),
        theta_(MakeParameters(config).size),
        gradient_(theta_.size()),
        first_moment_(theta_.size()),
        second_moment_(theta_.size()) {
    FillNormal(DeriveKey(kSeed, "weights"), 0, 0, 0.02f, absl::MakeSpan(theta_));
  }

  void Step() {
    ++step_;
    DropoutSeed dropout;
    dropout.key = DeriveKey(kSeed, "dropout", {step_});
    LossSum loss;
    model_->Forward(
        theta_.data(), batch_.view(), dropout, [](int) { return true; }, &loss);
    model_->Backward(theta_.data(), batch_.view(), gradient_.data(), false, [](int) {});
    Update();
    loss_ = loss.loss / static_cast<double>(loss.rows);
  }

  int64_t parameters() const { return static_cast<int64_t>(theta_.size()); }
  double loss() const { return loss_; }

 private:
  void Update() {
    constexpr int64_t kPiece = 1 << 16;  // elements of an item
    OptimizerStep step;
    step.step = step_;
    step.learning_rate = 1e-4;
    step.gradient_scale = 1.0 / static_cast<double>(batch_.view().example_count());
    const int64_t size = parameters();
    const OpTimer timer(device_.profile(), "optimizer", {0, 7.0 * sizeof(float) * static_cast<double>(size)});
    device_.pool().ParallelFor(CutCount(size, kPiece), [&](int64_t item, int) {
      const auto piece = [&](std::vector<float>& x) {
        return absl::MakeSpan(x).subspan(item * kPiece, kPiece);
      };
      UpdateParameters(
          OptimizerConfig(), step,
          {piece(theta_), piece(gradient_), piece(first_moment_), piece(second_moment_), piece(theta_)});
    });
  }

  Device& device_;
  const RandomBatch batch_;
  const std::unique_ptr<Model> model_;
  std::vector<float> theta_, gradient_, first_moment_, second_moment_;
  uint64_t step_ = 0;
  double loss_ = 0;
};

void PrintProfile(const OpProfile& profile, double seconds) {
  std::vector<OpTotals> ops(profile.totals().begin(), profile.totals().end());
  std::sort(ops.begin(), ops.end(), [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  double rest = seconds;
  for (const OpTotals& op : ops) {
    rest -= op.seconds;
    JsonLine line("train_op");
    line.Text("op", op.name).Integer("calls", op.calls).Number("share", op.seconds / seconds);
    if (op.work.flops > 0) line.Number("gflops", op.work.flops / op.seconds * 1e-9);
    line.Number("gigabytes_per_second", op.work.bytes / op.seconds * 1e-9).Print();
  }
  JsonLine("train_op").Text("op", "all else").Number("share", rest / seconds).Print();
}

absl::StatusOr<std::unique_ptr<Device>> MakeDevice(int threads) {
  const auto options = DeviceOptions::FromEnvironment(threads);
  if (!options.ok()) return options.status();
  return Device::Create(*options);
}

void Measure(Device& device, const ModelConfig& config, const TrainOptions& options) {
  Trainer trainer(device, config, options);
  for (int i = 0; i < kWarmUpSteps; ++i) trainer.Step();
  const int64_t allocations = device.counters().scratch_allocations;
  OpProfile profile;
  if (options.profile) device.set_profile(&profile);
  const double seconds = SecondsOf([&] {
    for (int i = 0; i < options.steps; ++i) trainer.Step();
  });
  device.set_profile(nullptr);
  const double examples = static_cast<double>(options.steps * options.batch);
  JsonLine("train")
      .Text("model", options.model)
      .Text("precision", options.precision)
      .Text("device", device.Describe())
      .Integer("parameters", trainer.parameters())
      .Integer("batch", options.batch)
      .Integer("length", options.length)
      .Integer("threads", options.threads)
      .Integer("steps", options.steps)
      .Number("tokens_per_second", examples * static_cast<double>(options.length) / seconds)
      .Number("examples_per_second", examples / seconds)
      .Number("gflops", TrainingFlops(config, options.batch, options.length) * options.steps / seconds * 1e-9)
      .Integer("peak_memory_bytes", PeakMemory_bytes())
      .Integer("scratch_allocations", device.counters().scratch_allocations - allocations)
      .Number("loss", trainer.loss())
      .Print();
  if (options.profile) PrintProfile(profile, seconds);
}

absl::Status Check(const TrainOptions& options, const ModelConfig& config) {
  if (options.precision != "f32") {
    return absl::InvalidArgumentError(
        absl::StrCat("--precision ", options.precision, ": Shoal trains in f32 so far"));
  }
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
  const absl::Status checked = Check(options, *config);
  if (!checked.ok()) return checked;
  const auto device = MakeDevice(options.threads);
  if (!device.ok()) return device.status();
  Measure(**device, *config, options);
  return absl::OkStatus();
}

}  // namespace shoal
