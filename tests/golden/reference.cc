#include "tests/golden/reference.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "common/base/status.h"
#include "common/storage/file.h"
#include "kernels/cpu/cpu_device.h"
#include "kernels/optimizer.h"
#include "model/heads.h"
#include "model/hugging_face.h"

namespace shoal::golden {
namespace {

std::vector<int64_t> ReadIntegers(const SafetensorsReader& file, const char* name) {
  const SafetensorsEntry& entry = *Ok(file.Find(name));
  REQUIRE(entry.type == SafetensorsType::kI64);
  std::vector<int64_t> values(entry.elements());
  const absl::Span<char> bytes(reinterpret_cast<char*>(values.data()), values.size() * sizeof(int64_t));
  REQUIRE(file.ReadBytes(entry, 0, bytes).ok());
  return values;
}

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
  const SafetensorsReader file = OpenTensors(folder, "inputs.safetensors");
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

uint64_t SizeOf(const ParameterInfo& info) {
  uint64_t size = 1;
  for (uint64_t dimension : info.shape()) size *= dimension;
  return size;
}

std::vector<bool> AllOf(const model::ModelConfig& config) {
  return std::vector<bool>(model::MakeParameters(config).infos.size(), true);
}

std::vector<float> ReadAll(const std::string& folder, const model::ModelConfig& config) {
  model::LoadedWeights weights = Ok(model::ReadWeights(PosixEnv(), folder, model::MakeParameters(config)));
  for (bool found : weights.found) REQUIRE(found);
  return std::move(weights.theta);
}

}  // namespace

SafetensorsReader OpenTensors(const std::string& folder, const char* file) {
  return Ok(SafetensorsReader::Open(PosixEnv(), JoinPath(folder, file)));
}

Json ReadJson(const std::string& folder, const char* file) {
  return Json::parse(Ok(PosixEnv()->ReadFile(JoinPath(folder, file))));
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

Reference::Reference(const std::string& folder, const std::string& inputs)
    : Reference(Ok(model::ReadModelConfig(PosixEnv(), folder)), {}, {}, inputs) {
  theta = ReadAll(folder, config_);
}

Reference::Reference(const model::ModelConfig& config, std::vector<float> start,
                     const std::vector<bool>& trains, const std::string& inputs)
    : theta(std::move(start)),
      config_(config),
      parameters_(model::MakeParameters(config)),
      trains_(trains.empty() ? AllOf(config) : trains),
      trainable_(parameters_, trains_),
      batch_(ReadBatch(inputs, config.head)),
      m_(parameters_.size),
      v_(parameters_.size) {
  device_ = Ok(kernels::CpuDevice::Create(Ok(kernels::CpuDeviceOptions::FromEnvironment(/*threads=*/2))));
  const model::Batch batch = batch_.view();
  model_ = model::MakeModel(device_.get(), config_, {batch.token_count(), batch.example_count()},
                            kernels::DType::kF32, model::Purpose::kTraining, {&trainable_});
  gradient.resize(parameters_.size);
}

double Reference::Run() {
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

std::vector<float> Reference::Logits() {
  const size_t rows = batch_.logit_places.empty() ? batch_.offsets.size() - 1 : batch_.logit_places.size();
  std::vector<float> logits(rows * model::LogitColumns(config_));
  model_->Evaluate(theta.data(), batch_.view(), absl::MakeSpan(logits));
  return logits;
}

std::vector<float> Reference::RealLogits(const std::vector<float>& padded) const {
  if (batch_.logit_places.empty()) return padded;
  std::vector<float> real;
  const int64_t columns = model::LogitColumns(config_);
  for (uint64_t place : batch_.logit_places) {
    const auto begin = padded.begin() + static_cast<int64_t>(place) * columns;
    real.insert(real.end(), begin, begin + columns);
  }
  return real;
}

void Reference::ForgetPadding() {
  const ParameterInfo& words = parameters_.infos.front();
  REQUIRE(absl::EndsWith(words.name(), "word_embeddings.weight"));
  std::fill_n(
      gradient.begin() + static_cast<int64_t>(words.offset()) + config_.pad_token_id * config_.hidden_size,
      config_.hidden_size, 0.0f);
}

double Reference::GradientNorm() const {
  return std::sqrt(kernels::SquaredNorm(trainable_.Trainable(gradient))) / rows();
}

double Reference::Update(const Json& training, uint64_t step) {
  kernels::OptimizerConfig config;
  config.kind = kernels::OptimizerKind::kAdamW;
  config.beta1 = training["betas"][0];
  config.beta2 = training["betas"][1];
  config.epsilon = training["eps"];
  config.weight_decay = training["weight_decay"];
  const double norm = GradientNorm();
  kernels::OptimizerStep update;
  update.step = step + 1;
  const double steps = static_cast<double>(step);
  update.learning_rate = training["lr"].get<double>() * std::min((steps + 1) / 3, (10 - steps) / 7);
  update.gradient_scale = std::min(1.0, training["clip_global_norm"].get<double>() / norm) / rows();
  for (size_t i = 0; i < trains_.size(); ++i) {
    const ParameterInfo& info = parameters_.infos[i];
    if (!trains_[i]) continue;
    update.decay = info.decay();
    const auto part = [&](std::vector<float>* x) {
      return absl::MakeSpan(*x).subspan(info.offset(), SizeOf(info));
    };
    kernels::UpdateParameters(config, update,
                              {part(&theta), part(&gradient), part(&m_), part(&v_), part(&theta)});
  }
  return norm;
}

void CheckLoss(const Json& reference, uint64_t step, Reference* model) {
  const double loss = model->Run(), wanted = reference["losses"][step];
  INFO("loss before update " << step << ": " << loss << ", expected " << wanted);
  CHECK(std::fabs(loss - wanted) <= kTolerance * std::fabs(wanted));
}

}  // namespace shoal::golden
