// Our models against dumps from PyTorch (described in README.md): logits, loss, every gradient, ten updates.
// Tests the dumps in the tree always, and the larger ones in SHOAL_GOLDEN, or in $SHOAL_SHARED/golden if that
// folder exists.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "common/base/status.h"
#include "common/storage/file.h"
#include "common/storage/safetensors.h"
#include "common/storage/shared_folder.h"
#include "common/storage/test_dir.h"
#include "kernels/cpu/cpu_device.h"
#include "kernels/optimizer.h"
#include "model/heads.h"
#include "model/hugging_face.h"
#include "model/model.h"
#include "model/model_config.h"
#include "nlohmann/json.hpp"

namespace shoal {
namespace {

using Json = nlohmann::json;

constexpr double kTolerance = 1e-4;
// A gradient that is 0 in exact arithmetic (a key bias shifts all scores of a query equally) is rounding
// noise in the dump too: our value must be float32 noise, relative to the norm over all parameters.
constexpr double kNoise = 1e-12;
constexpr double kFloat32Noise = 1e-6;

// The dumps in the tree that this test reads. Every one must exist; folders that are not listed (for future
// families) are ignored.
constexpr const char* kDumpsInTree[] = {
    "bert_sequence",       "bert_regression",  "bert_multilabel",
    "bert_token",          "roberta_sequence", "roberta_prelayernorm_sequence",
    "distilbert_sequence", "gpt2_causal",      "bert_mlm",
    "distilbert_mlm",      "bert_qa",          "distilbert_qa"};
constexpr char kTree[] = "tests/golden/dumps";

// Empty when the variable is not set.
std::string FromEnvironment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

template <typename T>
T Ok(absl::StatusOr<T> result) {
  INFO(result.status().ToString());
  REQUIRE(result.ok());
  return *std::move(result);
}

std::vector<int64_t> ReadIntegers(const SafetensorsReader& file, const char* name) {
  const SafetensorsEntry& entry = *Ok(file.Find(name));
  REQUIRE(entry.type == SafetensorsType::kI64);
  std::vector<int64_t> values(entry.elements());
  const absl::Span<char> bytes(reinterpret_cast<char*>(values.data()), values.size() * sizeof(int64_t));
  REQUIRE(file.ReadBytes(entry, 0, bytes).ok());
  return values;
}

// The padded batch of the dump, packed.
struct PackedBatch {
  std::vector<int32_t> tokens, types, offsets{0}, classes, attended;
  std::vector<float> targets;
  std::vector<uint64_t> logit_places;  // rows of logits in the padded batch, where they are of tokens

  model::Batch view() const { return {tokens, types, offsets, attended, classes, targets}; }
};

std::vector<int32_t> SpanClasses(const SafetensorsReader& file, const std::vector<int32_t>& offsets) {
  std::vector<int32_t> classes(offsets.back());
  const std::vector<int64_t> first = ReadIntegers(file, "start_positions"),
                             last = ReadIntegers(file, "end_positions");
  for (size_t b = 0; b < first.size(); ++b) {
    classes[offsets[b] + first[b]] |= kSpanFirst;
    classes[offsets[b] + last[b]] |= kSpanLast;
  }
  return classes;
}

// `transformers` chooses a span among all tokens of a padded batch, so here the padding stays.
PackedBatch ReadBatch(const std::string& folder, HeadType head) {
  const SafetensorsReader file =
      Ok(SafetensorsReader::Open(PosixEnv(), JoinPath(folder, "inputs.safetensors")));
  const std::vector<int64_t> ids = ReadIntegers(file, "input_ids"),
                             mask = ReadIntegers(file, "attention_mask");
  std::vector<int64_t> types;
  if (file.Find("token_type_ids").ok()) types = ReadIntegers(file, "token_type_ids");
  const uint64_t examples = (*file.Find("input_ids"))->shape[0], length = ids.size() / examples;
  PackedBatch batch;
  std::vector<uint64_t> places;  // positions of the tokens in the padded batch
  const TargetKind target = model::HeadOf(head).target;
  for (uint64_t b = 0; b < examples; ++b) {
    if (target == TargetKind::kSpan) batch.attended.push_back(0);
    for (uint64_t i = b * length; i < (b + 1) * length; ++i) {
      if (!batch.attended.empty()) {
        batch.attended.back() += static_cast<int32_t>(mask[i]);
      } else if (mask[i] == 0) {
        continue;
      }
      places.push_back(i);
      batch.tokens.push_back(static_cast<int32_t>(ids[i]));
      if (!types.empty()) batch.types.push_back(static_cast<int32_t>(types[i]));
    }
    batch.offsets.push_back(static_cast<int32_t>(batch.tokens.size()));
  }
  if (target == TargetKind::kNone) {
    batch.logit_places = places;
  } else if (target == TargetKind::kSpan) {
    batch.logit_places = places;
    batch.classes = SpanClasses(file, batch.offsets);
  } else if (HasTokenClasses(target)) {
    const std::vector<int64_t> labels = ReadIntegers(file, "labels");
    for (uint64_t place : places) {
      batch.classes.push_back(static_cast<int32_t>(labels[place]));
      if (labels[place] >= 0) batch.logit_places.push_back(place);
    }
  } else if (target == TargetKind::kClass) {
    for (int64_t label : ReadIntegers(file, "labels")) batch.classes.push_back(static_cast<int32_t>(label));
  } else {
    batch.targets = Ok(file.ReadFloats("labels"));
  }
  return batch;
}

double Norm(absl::Span<const float> x) {
  double sum = 0;
  for (float value : x) sum += static_cast<double>(value) * value;
  return std::sqrt(sum);
}

void CheckClose(absl::Span<const float> got, absl::Span<const float> expected, const std::string& what) {
  REQUIRE(got.size() == expected.size());
  double squared = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    squared += (static_cast<double>(got[i]) - expected[i]) * (static_cast<double>(got[i]) - expected[i]);
  }
  const double norm = Norm(expected);
  INFO(what << ": difference " << std::sqrt(squared) << ", norm " << norm);
  CHECK(std::sqrt(squared) <= kTolerance * norm);
}

// A model with its θ, the dump's batch, and the gradient of the last run.
class Reference {
 public:
  // `inputs`: the dump with the batch.
  Reference(const std::string& folder, const std::string& inputs)
      : config_(Ok(model::ReadModelConfig(PosixEnv(), folder))),
        parameters_(model::MakeParameters(config_)),
        batch_(ReadBatch(inputs, config_.head)) {
    device_ = Ok(kernels::CpuDevice::Create(Ok(kernels::CpuDeviceOptions::FromEnvironment(/*threads=*/2))));
    const model::Batch batch = batch_.view();
    model_ = model::MakeModel(device_.get(), config_, {batch.token_count(), batch.example_count()});
    model::LoadedWeights weights = Ok(model::ReadWeights(PosixEnv(), folder, parameters_));
    for (bool found : weights.found) REQUIRE(found);
    theta = std::move(weights.theta);
    gradient.resize(theta.size());
  }

  // Mean loss; the gradient of the sum goes to `gradient`.
  double Run() {
    model::MicroBatch step;
    step.theta = theta.data();
    step.batch = batch_.view();
    step.gradient = gradient.data();
    kernels::LossSum loss;
    REQUIRE(model_->Forward(
        step, [](int) { return true; }, &loss));
    model_->Backward([](int) {});
    rows_ = loss.rows;
    if (!batch_.attended.empty()) ForgetPadding();
    return loss.loss / rows();
  }
  // The logits of each example, or of each token that has some, one after another.
  std::vector<float> Logits() {
    const size_t rows = batch_.logit_places.empty() ? batch_.offsets.size() - 1 : batch_.logit_places.size();
    std::vector<float> logits(rows * model::LogitColumns(config_));
    model_->Evaluate(theta.data(), batch_.view(), absl::MakeSpan(logits));
    return logits;
  }
  // The dump's logits without those of padding and of tokens without a label.
  std::vector<float> RealLogits(const std::vector<float>& padded) const {
    if (batch_.logit_places.empty()) return padded;
    std::vector<float> real;
    const int64_t columns = model::LogitColumns(config_);
    for (uint64_t place : batch_.logit_places) {
      const auto begin = padded.begin() + static_cast<int64_t>(place) * columns;
      real.insert(real.end(), begin, begin + columns);
    }
    return real;
  }
  // The number of rows over which Run's loss is the mean.
  double rows() const { return static_cast<double>(rows_); }
  const model::ModelConfig& config() const { return config_; }
  const model::Parameters& parameters() const { return parameters_; }

  std::vector<float> theta;
  std::vector<float> gradient;

 private:
  // PyTorch's table of words has no gradient for padding.
  void ForgetPadding() {
    const ParameterInfo& words = parameters_.infos.front();
    REQUIRE(absl::EndsWith(words.name(), "word_embeddings.weight"));
    std::fill_n(
        gradient.begin() + static_cast<int64_t>(words.offset()) + config_.pad_token_id * config_.hidden_size,
        config_.hidden_size, 0.0f);
  }

  const model::ModelConfig config_;
  const model::Parameters parameters_;
  const PackedBatch batch_;
  int64_t rows_ = 0;
  std::unique_ptr<kernels::Device> device_;
  std::unique_ptr<model::Model> model_;
};

// Returns, by element of θ, whether the gradient is 0 in exact arithmetic. By element, because GPT-2's key
// biases share a parameter with the query and value biases.
std::vector<bool> CheckGradients(const std::string& folder, Reference* reference) {
  std::vector<bool> zeros;
  const double global_norm = Norm(reference->gradient) / reference->rows();
  const SafetensorsReader file =
      Ok(SafetensorsReader::Open(PosixEnv(), JoinPath(folder, "grads.safetensors")));
  REQUIRE(file.entries().size() == reference->parameters().infos.size());
  for (const ParameterInfo& info : reference->parameters().infos) {
    const std::vector<float> expected = Ok(model::ReadParameter(file, *Ok(file.Find(info.name())), info));
    std::vector<float> mean(reference->gradient.begin() + info.offset(),
                            reference->gradient.begin() + info.offset() + expected.size());
    for (float& value : mean) value /= static_cast<float>(reference->rows());
    const bool zero = Norm(expected) <= kNoise * global_norm;
    if (zero) {
      INFO(info.name() << " should have no gradient");
      CHECK(Norm(mean) <= kFloat32Noise * global_norm);
    } else {
      CheckClose(mean, expected, info.name());
    }
    for (float value : expected)
      zeros.push_back(zero || (value != 0 && std::fabs(value) <= kNoise * global_norm));
  }
  return zeros;
}

// One AdamW update as a server computes it, in ranges with and without decay. Returns the norm before
// clipping.
double Update(const Json& training, uint64_t step, Reference* reference, std::vector<float>* m,
              std::vector<float>* v) {
  kernels::OptimizerConfig config;
  config.kind = kernels::OptimizerKind::kAdamW;
  config.beta1 = training["betas"][0];
  config.beta2 = training["betas"][1];
  config.epsilon = training["eps"];
  config.weight_decay = training["weight_decay"];
  const double scale = 1.0 / reference->rows();
  const double norm = std::sqrt(kernels::SquaredNorm(reference->gradient)) * scale;
  kernels::OptimizerStep update;
  update.step = step + 1;
  const double steps = static_cast<double>(step);
  update.learning_rate = training["lr"].get<double>() * std::min((steps + 1) / 3, (10 - steps) / 7);
  update.gradient_scale = scale * std::min(1.0, training["clip_global_norm"].get<double>() / norm);
  for (const ParameterInfo& info : reference->parameters().infos) {
    uint64_t size = 1;
    for (uint64_t dimension : info.shape()) size *= dimension;
    update.decay = info.decay();
    const auto part = [&](std::vector<float>* x) { return absl::MakeSpan(*x).subspan(info.offset(), size); };
    kernels::UpdateParameters(
        config, update,
        {part(&reference->theta), part(&reference->gradient), part(m), part(v), part(&reference->theta)});
  }
  return norm;
}

// Parameters whose gradient is noise are not compared: Adam divides by the gradient's size, so they can end
// up anywhere. They don't change the losses.
void CheckTraining(const std::string& folder, const Json& expected, const std::vector<bool>& zeros,
                   Reference* reference) {
  std::vector<float> m(reference->theta.size()), v(reference->theta.size());
  const auto check_loss = [&](uint64_t step) {
    const double loss = reference->Run(), wanted = expected["losses"][step];
    INFO("loss before update " << step << ": " << loss << ", expected " << wanted);
    CHECK(std::fabs(loss - wanted) <= kTolerance * std::fabs(wanted));
  };
  for (uint64_t step = 0; step < 10; ++step) {
    check_loss(step);
    const double norm = Update(expected["training"], step, reference, &m, &v),
                 wanted = expected["grad_norms"][step];
    INFO("gradient norm of update " << step << ": " << norm << ", expected " << wanted);
    CHECK(std::fabs(norm - wanted) <= 10 * kTolerance * wanted);
  }
  check_loss(10);
  const SafetensorsReader trained =
      Ok(SafetensorsReader::Open(PosixEnv(), JoinPath(folder, "trained.safetensors")));
  for (const ParameterInfo& info : reference->parameters().infos) {
    std::vector<float> wanted = Ok(model::ReadParameter(trained, *Ok(trained.Find(info.name())), info));
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (zeros[info.offset() + i]) wanted[i] = reference->theta[info.offset() + i];
    }
    CheckClose(absl::MakeConstSpan(reference->theta).subspan(info.offset(), wanted.size()), wanted,
               info.name() + " after training");
  }
}

// The trained parameters, written and read back, give the same bits.
void CheckReload(const std::string& folder, Reference* reference) {
  const TestDir dir;
  REQUIRE(model::WriteModel(PosixEnv(), dir.path(), reference->config(), reference->theta).ok());
  Reference reloaded(dir.path(), folder);
  CHECK(reloaded.theta == reference->theta);
  CHECK(reloaded.Run() == reference->Run());
  CHECK(reloaded.gradient == reference->gradient);
}

// Those that train adapters keep their model in a folder of its own.
bool IsSupported(const std::string& folder) {
  if (!PosixEnv()->FileExists(JoinPath(folder, "config.json"))) return false;
  const absl::StatusOr<std::string> text = PosixEnv()->ReadFile(JoinPath(folder, "reference.json"));
  if (!text.ok()) return false;
  const Json reference = Json::parse(*text, nullptr, false);
  const std::string name = reference.value("model_class", "");
  const std::vector<std::string> supported = model::SupportedClasses();
  return std::find(supported.begin(), supported.end(), name) != supported.end();
}

struct Dump {
  std::string name;  // of the test section
  std::string folder;
};

std::vector<Dump> DumpsInTree() {
  std::vector<Dump> dumps;
  for (const char* name : kDumpsInTree) dumps.push_back({name, JoinPath(kTree, name)});
  return dumps;
}

std::vector<Dump> SupportedDumps(const std::string& folder) {
  std::vector<Dump> dumps;
  for (const std::string& name : Ok(PosixEnv()->ListDir(folder))) {
    const std::string dump = JoinPath(folder, name);
    if (!PosixEnv()->FileExists(JoinPath(dump, "config.json")) &&
        !PosixEnv()->FileExists(JoinPath(dump, "base"))) {
      continue;
    }
    if (IsSupported(dump)) {
      dumps.push_back({absl::StrCat("larger ", name), dump});
    } else {
      std::cout << "skipped (not supported yet): " << name << "\n";
    }
  }
  return dumps;
}

// A folder named with SHOAL_GOLDEN may contain any dumps. The default folder need not exist, but must be
// complete if it does.
std::vector<Dump> LargerDumps() {
  const std::string chosen = FromEnvironment("SHOAL_GOLDEN");
  const std::string folder = chosen.empty() ? SharedFolder("golden", "the larger dumps") : chosen;
  if (folder.empty()) return {};
  std::vector<Dump> dumps = SupportedDumps(folder);
  INFO("no dumps in " << folder);
  REQUIRE(!dumps.empty());
  for (const char* required : {"bert_sequence", "bert_regression", "bert_multilabel", "roberta_sequence",
                               "distilbert_sequence", "gpt2_causal", "bert_mlm", "roberta_mlm", "bert_qa"}) {
    const bool found = std::any_of(dumps.begin(), dumps.end(), [&](const Dump& dump) {
      return dump.folder == JoinPath(folder, required);
    });
    INFO(required << " is missing in " << folder);
    REQUIRE((!chosen.empty() || found));
  }
  return dumps;
}

// A row for each example, or token of the padded batch.
std::vector<float> ReadLogits(const SafetensorsReader& outputs, HeadType head) {
  if (head != HEAD_TYPE_SPAN) return Ok(outputs.ReadFloats("logits"));
  const std::vector<float> first = Ok(outputs.ReadFloats("start_logits")),
                           last = Ok(outputs.ReadFloats("end_logits"));
  std::vector<float> logits;
  for (size_t i = 0; i < first.size(); ++i) logits.insert(logits.end(), {first[i], last[i]});
  return logits;
}

void CheckDump(const std::string& folder) {
  Reference reference(folder, folder);
  const Json expected = Json::parse(Ok(PosixEnv()->ReadFile(JoinPath(folder, "reference.json"))));
  const SafetensorsReader outputs =
      Ok(SafetensorsReader::Open(PosixEnv(), JoinPath(folder, "outputs.safetensors")));
  CheckClose(reference.Logits(), reference.RealLogits(ReadLogits(outputs, reference.config().head)),
             "logits");
  const double loss = reference.Run(), wanted = expected["loss"];
  INFO("loss " << loss << ", expected " << wanted);
  CHECK(std::fabs(loss - wanted) <= kTolerance * std::fabs(wanted));
  const std::vector<bool> zeros = CheckGradients(folder, &reference);
  CheckTraining(folder, expected, zeros, &reference);
  CheckReload(folder, &reference);
}

TEST_CASE("Logits, loss, gradients and ten AdamW updates agree with PyTorch", "[golden]") {
  static const std::vector<Dump> in_tree = DumpsInTree(), larger = LargerDumps();  // sections rerun this
  for (const std::vector<Dump>* dumps : {&in_tree, &larger}) {
    for (const Dump& dump : *dumps) {
      DYNAMIC_SECTION(dump.name) { CheckDump(dump.folder); }
    }
  }
}

}  // namespace
}  // namespace shoal
