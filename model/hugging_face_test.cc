#include "model/hugging_face.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "common/storage/file.h"
#include "common/storage/safetensors.h"
#include "common/storage/test_dir.h"
#include "model/families/family.h"
#include "model/heads.h"
#include "model/model_oracle.h"
#include "model/parameters.h"

namespace shoal::model {
namespace {

// A small model of each family with each of its heads.
std::vector<ModelConfig> EveryModel() {
  std::vector<ModelConfig> models;
  for (const ModelConfig& config :
       {SmallConfig(NORM_PLACEMENT_POST, HEAD_TYPE_CLASS), SmallConfig(NORM_PLACEMENT_PRE, HEAD_TYPE_CLASS),
        SmallRoberta(), SmallDistilBert(), SmallGpt2(), SmallEncoderNgrams()}) {
    const Family* const family = FindFamily(config.family, config.norm);
    for (const HeadInfo& head : Heads()) {
      if (FindArchitecture(*family, head.type) == nullptr) continue;
      models.push_back(config);
      models.back().head = head.type;
      if (head.labels == LabelCount::kOne) models.back().labels.resize(1);
    }
  }
  return models;
}

TEST_CASE("A model of any family, with any of its heads, comes back from a Hugging Face folder") {
  for (const ModelConfig& config : EveryModel()) {
    INFO(PrintModelConfig(config));
    const TestDir dir;
    const std::vector<float> theta = RandomTheta(config);
    REQUIRE(WriteModel(PosixEnv(), dir.path(), config, theta).ok());
    const auto read = ReadModelConfig(PosixEnv(), dir.path());
    INFO(read.status());
    REQUIRE(read.ok());
    CHECK(read->head == config.head);
    CHECK(PrintModelConfig(*read) == PrintModelConfig(config));
    const auto weights = ReadWeights(PosixEnv(), dir.path(), MakeParameters(*read));
    INFO(weights.status());
    REQUIRE(weights.ok());
    CHECK(weights->theta == theta);
    CHECK(weights->unused.empty());
    CHECK(PosixEnv()->FileExists(dir / "generation_config.json") == config.causal());
  }
}

TEST_CASE("Weights of a bare model, without its family's prefix, are read, and the head is initialized") {
  for (const ModelConfig& config : {SmallConfig(NORM_PLACEMENT_POST, HEAD_TYPE_CLASS), SmallRoberta(),
                                    SmallDistilBert(), SmallGpt2(), SmallEncoderNgrams()}) {
    const TestDir dir;
    const Parameters parameters = MakeParameters(config);
    std::vector<SafetensorsEntry> entries;
    for (const ParameterInfo& info : parameters.infos) {
      if (info.offset() >= parameters.head_begin) break;
      REQUIRE(absl::StartsWith(info.name(), parameters.root));
      std::vector<uint64_t> shape(info.shape().begin(), info.shape().end());
      if (info.transposed()) std::swap(shape[0], shape[1]);
      entries.push_back({info.name().substr(parameters.root.size()), SafetensorsType::kF32, shape, 0});
    }
    auto writer = SafetensorsWriter::Create(PosixEnv(), dir / "model.safetensors", entries, {});
    REQUIRE(writer.ok());
    for (const SafetensorsEntry& entry : entries)
      REQUIRE(writer->Append(std::vector<float>(entry.elements(), 1)).ok());
    REQUIRE(writer->Finish().ok());
    const auto weights = ReadWeights(PosixEnv(), dir.path(), parameters);
    INFO(weights.status());
    REQUIRE(weights.ok());
    for (size_t i = 0; i < weights->found.size(); ++i) CHECK(weights->found[i] == (i < entries.size()));
  }
}

TEST_CASE("Weights may be in several files, with an index") {
  const TestDir dir;
  const ModelConfig config = SmallConfig(NORM_PLACEMENT_POST, HEAD_TYPE_CLASS);
  const std::vector<float> theta = RandomTheta(config);
  const Parameters parameters = MakeParameters(config);
  std::string map;
  const char* const kNames[] = {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"};
  for (int shard = 0; shard < 2; ++shard) {
    std::vector<SafetensorsEntry> entries;
    std::vector<float> values;
    for (size_t i = 0; i < parameters.infos.size(); ++i) {
      const ParameterInfo& info = parameters.infos[i];
      if (static_cast<int>(i % 2) != shard) continue;
      entries.push_back({info.name(), SafetensorsType::kF32, {info.shape().begin(), info.shape().end()}, 0});
      const auto begin = theta.begin() + static_cast<int64_t>(info.offset());
      values.insert(values.end(), begin, begin + static_cast<int64_t>(entries.back().elements()));
      absl::StrAppend(&map, map.empty() ? "" : ", ", "\"", info.name(), "\": \"", kNames[shard], "\"");
    }
    auto writer = SafetensorsWriter::Create(PosixEnv(), dir / kNames[shard], entries, {});
    REQUIRE(writer.ok());
    REQUIRE(writer->Append(values).ok());
    REQUIRE(writer->Finish().ok());
  }
  const auto write_index = [&](const std::string& text) {
    REQUIRE(PosixEnv()->WriteFileAtomic(dir / "model.safetensors.index.json", text).ok());
  };
  const auto error = [&] {
    return std::string(ReadWeights(PosixEnv(), dir.path(), parameters).status().message());
  };
  write_index(absl::StrCat("{\"weight_map\": {", map, "}}"));
  const auto weights = ReadWeights(PosixEnv(), dir.path(), parameters);
  INFO(weights.status());
  REQUIRE(weights.ok());
  CHECK(weights->theta == theta);
  CHECK(WeightsFilesAt(PosixEnv(), dir.path())->size() == 3);
  CHECK(DescribeWeights("F", parameters, *weights).size() == 1);
  write_index("{\"weight_map\": {\"a\": \"../model.safetensors\"}}");
  CHECK_THAT(error(), Catch::Contains("expected one of this folder"));
  write_index("[]");
  CHECK_THAT(error(), Catch::Contains("index.json: expected an object \"weight_map\""));
  REQUIRE(PosixEnv()->DeleteFile(dir / kNames[1]).ok());
  write_index(absl::StrCat("{\"weight_map\": {", map, "}}"));
  CHECK_THAT(error(), Catch::Contains(kNames[1]));
}

TEST_CASE("A folder whose weights are a pickle, or a pointer to a file that is not there, says what helps") {
  const TestDir dir;
  const Parameters parameters = MakeParameters(SmallConfig(NORM_PLACEMENT_POST, HEAD_TYPE_CLASS));
  const auto error = [&] {
    return std::string(ReadWeights(PosixEnv(), dir.path(), parameters).status().message());
  };
  CHECK_THAT(error(), Catch::Contains("model.safetensors: No such file"));
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / "pytorch_model.bin", "PK").ok());
  CHECK_THAT(error(), Catch::Contains("pytorch_model.bin is a pickle") && Catch::Contains("python3 -c"));
  REQUIRE(PosixEnv()
              ->WriteFileAtomic(dir / "model.safetensors",
                                "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
              .ok());
  CHECK_THAT(error(), Catch::Contains("is only a pointer of Git LFS") && Catch::Contains("git lfs pull"));
}

TEST_CASE("The head of a folder is used row by row as its labels are called, or not at all") {
  ModelConfig of = SmallConfig(NORM_PLACEMENT_POST, HEAD_TYPE_CLASS);
  of.labels = {"a", "b", "c"};
  ModelConfig config = of;
  const Parameters parameters = MakeParameters(of);
  LoadedWeights loaded;
  loaded.theta = RandomTheta(of);
  loaded.found.assign(parameters.infos.size(), true);
  const std::vector<float> theta = loaded.theta;
  const ParameterInfo& weight = parameters.infos[parameters.infos.size() - 2];
  const ParameterInfo& bias = parameters.infos.back();
  SECTION("in the same order") {
    MatchHead(&of, config, parameters, &loaded);
    CHECK(loaded.theta == theta);
  }
  SECTION("in another order") {
    config.labels = {"c", "a", "b"};
    MatchHead(&of, config, parameters, &loaded);
    const size_t rows[] = {2, 0, 1};
    for (size_t row = 0; row < 3; ++row) {
      CHECK(loaded.theta[bias.offset() + row] == theta[bias.offset() + rows[row]]);
      for (uint64_t column = 0; column < weight.shape(1); ++column) {
        CHECK(loaded.theta[weight.offset() + row * weight.shape(1) + column] ==
              theta[weight.offset() + rows[row] * weight.shape(1) + column]);
      }
    }
    CHECK(std::equal(theta.begin(), theta.begin() + static_cast<int64_t>(weight.offset()),
                     loaded.theta.begin()));
    CHECK(loaded.head.empty());
  }
  const auto dropped = [&](const ModelConfig* folder, const std::string& why) {
    MatchHead(folder, config, parameters, &loaded);
    CHECK(loaded.head == why);
    CHECK_FALSE(loaded.found.back());
    CHECK(loaded.theta.back() == 0);
    const auto lines = DescribeWeights("F", parameters, loaded);
    REQUIRE(lines.size() == 2);
    CHECK_THAT(lines[1], Catch::Contains("new: the head, as " + why + " (") && Catch::Contains(bias.name()));
  };
  SECTION("other labels; the pooler was pretrained, and stays") {
    config.labels = {"a", "b", "d"};
    dropped(&of, "the folder's model has other labels");
    const ParameterInfo& pooler = parameters.infos[parameters.infos.size() - 4];
    REQUIRE(pooler.name() == "bert.pooler.dense.weight");
    CHECK(loaded.found[loaded.found.size() - 4]);
    CHECK(loaded.theta[pooler.offset()] == theta[pooler.offset()]);
  }
  SECTION("another label twice") {
    of.labels = {"a", "b", "b"};
    dropped(&of, "the folder's model has other labels");
  }
  SECTION("another kind of head") {
    of.head = HEAD_TYPE_TOKEN_CLASSES;
    dropped(&of, "the folder's model predicts something else");
  }
  SECTION("a class without a head that we know") {
    dropped(nullptr, "the folder's model predicts something else");
  }
}

TEST_CASE("GPT-2's matrices are transposed in its files") {
  const TestDir dir;
  const ModelConfig config = SmallGpt2();
  const std::vector<float> theta = RandomTheta(config);
  REQUIRE(WriteModel(PosixEnv(), dir.path(), config, theta).ok());
  const auto file = SafetensorsReader::Open(PosixEnv(), dir / "model.safetensors");
  REQUIRE(file.ok());
  const auto entry = file->Find("transformer.h.1.mlp.c_fc.weight");
  REQUIRE(entry.ok());
  CHECK((*entry)->shape == std::vector<uint64_t>{16, 24});
  const auto values = file->ReadFloats("transformer.h.1.mlp.c_fc.weight");
  REQUIRE(values.ok());
  const Recipe recipe = MakeRecipe(config);
  const uint64_t at = std::get<MlpSpec>(recipe.stack.sublayers[3].branch).up.weight.offset;
  CHECK((*values)[3 * 24 + 5] == theta[at + 5 * 16 + 3]);
}

TEST_CASE("Configurations that we would compute wrongly are refused with the field") {
  for (const char* field :
       {"\"tie_word_embeddings\": false", "\"scale_attn_weights\": false", "\"add_cross_attention\": true",
        "\"activation_function\": \"relu\"", "\"n_head\": 5"}) {
    INFO(field);
    const auto config = ParseModelConfig(absl::StrCat("{\"model_type\": \"gpt2\", ", field, "}"));
    CHECK(config.status().code() == absl::StatusCode::kInvalidArgument);
  }
  CHECK(ParseModelConfig("{\"model_type\": \"gpt2\"}")->intermediate_size == 3072);
  CHECK_FALSE(ParseModelConfig("{\"model_type\": \"llama\"}").ok());
}

TEST_CASE("Configurations that a family cannot have are refused") {
  const auto refused = [](const ModelConfig& config) { return !CheckModelConfig(config).ok(); };
  ModelConfig config = SmallGpt2();
  config.norm = NORM_PLACEMENT_POST;
  CHECK(refused(config));
  config = SmallRoberta();
  config.norm = NORM_PLACEMENT_PRE;
  CHECK(refused(config));
  config = SmallDistilBert();
  config.type_vocab_size = 2;
  CHECK(refused(config));
  config = SmallDistilBert();
  config.layer_norm_eps = 1e-5;
  CHECK(refused(config));
  config = SmallRoberta();
  config.ngram_buckets = 8;
  CHECK(refused(config));
  for (int64_t length : {0, 4}) {
    config = SmallEncoderNgrams();
    config.ngram_length = length;
    CHECK(refused(config));
  }
  config = SmallEncoderNgrams();
  config.ngram_scale = 0;
  CHECK(refused(config));
  config = SmallEncoderNgrams();
  config.ngram_buckets = 0;
  CHECK(refused(config));
  config = SmallRoberta();
  config.head = HEAD_TYPE_NEXT_TOKEN;
  CHECK(refused(config));
}

TEST_CASE("Numbers of config.json that no size or token can be are refused with their field") {
  for (const char* field : {"pad_token_id", "max_position_embeddings", "hidden_size", "vocab_size"}) {
    for (const char* number : {"-9223372036854775808", "9223372036854775807", "18446744073709551615"}) {
      const auto config = ParseModelConfig(
          absl::StrCat("{\"model_type\": \"roberta-prelayernorm\", \"", field, "\": ", number, "}"));
      INFO(field << " " << number << ": " << config.status());
      REQUIRE(config.status().code() == absl::StatusCode::kInvalidArgument);
      CHECK(absl::StrContains(config.status().message(), field));
      CHECK(absl::StrContains(config.status().message(), number));
    }
  }
}

}  // namespace
}  // namespace shoal::model
