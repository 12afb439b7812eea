// Our models against dumps from PyTorch (described in README.md): logits, loss, every gradient, ten updates.
// Tests the dumps in the tree always, and the larger ones in SHOAL_GOLDEN, or in $SHOAL_SHARED/golden if that
// folder exists.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "common/storage/file.h"
#include "common/storage/safetensors.h"
#include "common/storage/shared_folder.h"
#include "common/storage/test_dir.h"
#include "model/hugging_face.h"
#include "model/lora.h"
#include "model/model_config.h"
#include "model/parameters.h"
#include "tests/golden/reference.h"

namespace shoal::golden {
namespace {

// A gradient that is 0 in exact arithmetic (a key bias shifts all scores of a query equally) is rounding
// noise in the dump too: our value must be float32 noise, relative to the norm over all parameters.
constexpr double kNoise = 1e-12;
constexpr double kFloat32Noise = 1e-6;

// The dumps in the tree, listed so that a missing one is noticed.
constexpr const char* kDumpsInTree[] = {
    "bert_sequence",    "bert_regression",     "bert_multilabel",
    "bert_token",       "roberta_sequence",    "roberta_prelayernorm_sequence",
    "electra_sequence", "distilbert_sequence", "gpt2_causal",
    "bert_mlm",         "distilbert_mlm",      "bert_qa",
    "distilbert_qa",    "bert_token_lora",     "gpt2_causal_lora"};
constexpr char kTree[] = "tests/golden/dumps";

// Empty when the variable is not set.
std::string FromEnvironment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// Returns, by element of θ, whether the gradient is 0 in exact arithmetic. By element, because GPT-2's key
// biases share a parameter with the query and value biases.
std::vector<bool> CheckGradients(const std::string& folder, Reference* reference) {
  std::vector<bool> zeros;
  const double global_norm = Norm(reference->gradient) / reference->rows();
  const SafetensorsReader file = OpenTensors(folder, "grads.safetensors");
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

// Parameters whose gradient is noise are not compared: Adam divides by the gradient's size, so they can end
// up anywhere. They don't change the losses.
void CheckTraining(const std::string& folder, const Json& expected, const std::vector<bool>& zeros,
                   Reference* reference) {
  for (uint64_t step = 0; step < 10; ++step) {
    CheckLoss(expected, step, reference);
    const double norm = reference->Update(expected["training"], step), wanted = expected["grad_norms"][step];
    INFO("gradient norm of update " << step << ": " << norm << ", expected " << wanted);
    CHECK(std::fabs(norm - wanted) <= 10 * kTolerance * wanted);
  }
  CheckLoss(expected, 10, reference);
  const SafetensorsReader trained = OpenTensors(folder, "trained.safetensors");
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

// Those with low-rank additions keep the model that they are for in a folder of its own.
bool HasAdditions(const std::string& folder) { return PosixEnv()->FileExists(JoinPath(folder, "adapter")); }

bool IsSupported(const std::string& folder) {
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
  for (const char* required :
       {"bert_sequence", "bert_regression", "bert_multilabel", "roberta_sequence", "distilbert_sequence",
        "gpt2_causal", "bert_mlm", "roberta_mlm", "bert_qa", "bert_token_lora"}) {
    const bool found = std::any_of(dumps.begin(), dumps.end(), [&](const Dump& dump) {
      return dump.folder == JoinPath(folder, required);
    });
    INFO(required << " is missing in " << folder);
    REQUIRE((!chosen.empty() || found));
  }
  return dumps;
}

// ---- low-rank additions ----

// The name in PEFT's files of a parameter of the model: in adapters, or in gradients, where those of the head
// are in another module.
std::string AdapterName(const ParameterInfo& info) { return absl::StrCat("base_model.model.", info.name()); }
std::string GradientName(const ParameterInfo& info) {
  if (info.added()) return AdapterName(info);
  const size_t point = info.name().rfind('.');
  return absl::StrCat("base_model.model.", info.name().substr(0, point), ".modules_to_save",
                      info.name().substr(point));
}

// The model of a dump with its additions as they start.
Reference WithAdditions(const std::string& folder) {
  const std::string base = JoinPath(folder, "base"), adapter = JoinPath(folder, "adapter");
  const Json json = ReadJson(adapter, "adapter_config.json");
  model::ModelConfig config = Ok(model::ReadModelConfig(PosixEnv(), base));
  config.lora = {json["r"], json["lora_alpha"], json["lora_dropout"], json["target_modules"]};
  REQUIRE(model::CheckLoraTargets(config).ok());
  const model::Parameters parameters = model::MakeParameters(config);
  std::vector<float> theta = Ok(model::ReadWeights(PosixEnv(), base, parameters)).theta;
  const SafetensorsReader file = OpenTensors(adapter, "adapter_model.safetensors");
  std::vector<bool> trains;
  for (const ParameterInfo& info : parameters.infos) {
    trains.push_back(file.Find(AdapterName(info)).ok());
    if (!trains.back()) continue;
    const std::vector<float> values = Ok(model::ReadParameter(file, *Ok(file.Find(AdapterName(info))), info));
    std::copy(values.begin(), values.end(), theta.begin() + static_cast<int64_t>(info.offset()));
  }
  REQUIRE(static_cast<size_t>(std::count(trains.begin(), trains.end(), true)) == file.entries().size());
  return Reference(config, std::move(theta), trains, folder);
}

// What we write is what PEFT wrote, but for its settings that a reader does not need.
void CheckAdapter(const std::string& folder, const Reference& reference) {
  const TestDir dir;
  REQUIRE(model::WriteAdapter(PosixEnv(), dir.path(), reference.config(), reference.theta, "base").ok());
  const SafetensorsReader ours = OpenTensors(dir.path(), "adapter_model.safetensors"),
                          theirs = OpenTensors(JoinPath(folder, "adapter"), "adapter_model.safetensors");
  CHECK(ours.entries().size() == theirs.entries().size());
  for (const SafetensorsEntry& entry : theirs.entries()) {
    INFO(entry.name);
    CHECK(Ok(ours.Find(entry.name))->shape == entry.shape);
    CHECK(Ok(ours.ReadFloats(entry.name)) == Ok(theirs.ReadFloats(entry.name)));
  }
  const Json written = ReadJson(dir.path(), "adapter_config.json"),
             expected = ReadJson(JoinPath(folder, "adapter"), "adapter_config.json");
  for (const char* field :
       {"peft_type", "task_type", "r", "lora_alpha", "lora_dropout", "bias", "fan_in_fan_out"})
    CHECK(written[field] == expected[field]);
  // Ours are whole names of maps, each of which one of PEFT's ends, and each of those ends one of ours.
  const std::vector<std::string> ours_of = written["target_modules"], theirs_of = expected["target_modules"];
  const auto ends = [](const std::string& whole, const std::string& end) {
    return absl::EndsWith(whole, absl::StrCat(".", end));
  };
  for (const std::string& whole : ours_of) {
    INFO(whole);
    CHECK(std::any_of(theirs_of.begin(), theirs_of.end(), [&](const auto& end) { return ends(whole, end); }));
  }
  for (const std::string& end : theirs_of) {
    INFO(end);
    CHECK(std::any_of(ours_of.begin(), ours_of.end(), [&](const auto& whole) { return ends(whole, end); }));
  }
  // PEFT lists each head that a model of the task may have.
  if (written["modules_to_save"].is_null()) {
    CHECK(expected["modules_to_save"].is_null());
  } else {
    for (const std::string module : written["modules_to_save"])
      CHECK(std::count(expected["modules_to_save"].begin(), expected["modules_to_save"].end(), module) == 1);
    CHECK_FALSE(written["modules_to_save"].empty());
  }
}

void CheckAdditions(const std::string& folder) {
  Reference reference = WithAdditions(folder);
  CheckAdapter(folder, reference);
  const Json expected = ReadJson(folder, "reference.json");
  const SafetensorsReader outputs = OpenTensors(folder, "outputs.safetensors");
  CheckClose(reference.Logits(), reference.RealLogits(Ok(outputs.ReadFloats("logits"))), "logits");
  CheckLoss(expected, 0, &reference);
  const SafetensorsReader gradients = OpenTensors(folder, "grads.safetensors");
  for (size_t i = 0; i < reference.parameters().infos.size(); ++i) {
    if (!reference.trains(i)) continue;
    const ParameterInfo& info = reference.parameters().infos[i];
    const std::vector<float> wanted =
        Ok(model::ReadParameter(gradients, *Ok(gradients.Find(GradientName(info))), info));
    std::vector<float> mean(reference.gradient.begin() + info.offset(),
                            reference.gradient.begin() + info.offset() + wanted.size());
    for (float& value : mean) value /= static_cast<float>(reference.rows());
    CheckClose(mean, wanted, info.name());
  }
  for (uint64_t step = 0; step < 10; ++step) {
    CheckLoss(expected, step, &reference);
    reference.Update(expected["training"], step);
  }
  CheckLoss(expected, 10, &reference);
  const model::ModelConfig without = model::WithoutLora(reference.config());
  const std::vector<float> merged = model::MergeLora(reference.config(), reference.theta);
  const std::vector<float> wanted =
      Ok(model::ReadWeights(PosixEnv(), JoinPath(folder, "merged_after_training"),
                            model::MakeParameters(without)))
          .theta;
  CheckClose(merged, wanted, "the model with its additions after training");
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
  const Json expected = ReadJson(folder, "reference.json");
  const SafetensorsReader outputs = OpenTensors(folder, "outputs.safetensors");
  CheckClose(reference.Logits(), reference.RealLogits(ReadLogits(outputs, reference.config().head)),
             "logits");
  const double loss = reference.Run(), wanted = expected["loss"];
  INFO("loss " << loss << ", expected " << wanted);
  CHECK(std::fabs(loss - wanted) <= kTolerance * std::fabs(wanted));
  const std::vector<bool> zeros = CheckGradients(folder, &reference);
  CheckTraining(folder, expected, zeros, &reference);
  CheckReload(folder, &reference);
}

TEST_CASE("Every dump in the tree is listed", "[golden]") {
  const std::set<std::string> listed(std::begin(kDumpsInTree), std::end(kDumpsInTree));
  const std::vector<std::string> folders = Ok(PosixEnv()->ListDir(kTree));
  CHECK(std::set<std::string>(folders.begin(), folders.end()) == listed);
}

TEST_CASE("Logits, loss, gradients and ten AdamW updates agree with PyTorch", "[golden]") {
  static const std::vector<Dump> in_tree = DumpsInTree(), larger = LargerDumps();  // sections rerun this
  for (const std::vector<Dump>* dumps : {&in_tree, &larger}) {
    for (const Dump& dump : *dumps) {
      DYNAMIC_SECTION(dump.name) {
        if (HasAdditions(dump.folder)) {
          CheckAdditions(dump.folder);
        } else {
          CheckDump(dump.folder);
        }
      }
    }
  }
}

}  // namespace
}  // namespace shoal::golden
