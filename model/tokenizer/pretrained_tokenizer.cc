#include "model/tokenizer/pretrained_tokenizer.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "model/tokenizer/cut.h"
#include "model/tokenizer/pipeline/pipeline_files.h"
#include "model/tokenizer/tokenizer_files.pb.h"
#include "nlohmann/json.hpp"

namespace shoal::model {
namespace {

using Json = nlohmann::ordered_json;
using PipelineOr = absl::StatusOr<std::unique_ptr<PipelineTokenizer>>;

constexpr char kConfig[] = "tokenizer_config.json";
constexpr char kSpecialTokens[] = "special_tokens_map.json";
constexpr char kAddedTokens[] = "added_tokens.json";
constexpr absl::string_view kMagic = "shoal tokenizer files 1\n";

// The files of one vocabulary.
struct Files {
  const std::vector<NamedFile>& all;

  const std::string* Find(absl::string_view name) const {
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const NamedFile& file) { return file.name == name; });
    return found == all.end() ? nullptr : &found->bytes;
  }
  // An empty object when there is no such file.
  absl::StatusOr<Json> Object(absl::string_view name) const {
    const std::string* const bytes = Find(name);
    if (bytes == nullptr) return Json::object();
    Json json = Json::parse(*bytes, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) return absl::InvalidArgumentError(absl::StrCat(name, ": not a JSON object"));
    return json;
  }
};

std::string StringOr(const Json& config, const char* name, const char* otherwise) {
  const auto found = config.find(name);
  return found != config.end() && found->is_string() ? found->get<std::string>() : otherwise;
}

bool BoolOr(const Json& config, const char* name, bool otherwise) {
  const auto found = config.find(name);
  return found != config.end() && found->is_boolean() ? found->get<bool>() : otherwise;
}

// ---- the kinds of vocabularies ----

PipelineOr LoadJson(const Files& files, const Json&) {
  return LoadTokenizerJson(*files.Find("tokenizer.json"));
}

// Those of other classes are read in other ways.
absl::Status CheckBertClass(const Json& config) {
  std::string name = StringOr(config, "tokenizer_class", "BertTokenizer");
  absl::string_view bare = name;
  absl::ConsumeSuffix(&bare, "Fast");
  for (const char* known : {"BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MobileBertTokenizer",
                            "PreTrainedTokenizer"}) {
    if (bare == known) return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(kConfig, ": a vocab.txt of the class ", name,
                                                 " is not supported; expected BertTokenizer"));
}

PipelineOr LoadVocabularyText(const Files& files, const Json& config) {
  SHOAL_RETURN_IF_ERROR(CheckBertClass(config));
  BertVocabularyOptions options;
  options.do_lower_case = BoolOr(config, "do_lower_case", true);
  options.tokenize_chinese_chars = BoolOr(config, "tokenize_chinese_chars", true);
  const auto strip = config.find("strip_accents");
  if (strip != config.end() && strip->is_boolean()) options.strip_accents = strip->get<bool>();
  return LoadBertVocabulary(*files.Find("vocab.txt"), options);
}

// RoBERTa's vocabulary has special tokens that GPT-2's lacks.
PipelineOr LoadBytePairs(const Files& files, const Json& config) {
  if (BoolOr(config, "add_prefix_space", false)) {
    return absl::InvalidArgumentError(absl::StrCat(
        kConfig,
        ": add_prefix_space with vocab.json and merges.txt is not supported; expected tokenizer.json"));
  }
  const std::string& vocabulary = *files.Find("vocab.json");
  const bool is_roberta = absl::StrContains(vocabulary, "\"<mask>\"");
  return LoadBytePairVocabulary(vocabulary, *files.Find("merges.txt"),
                                is_roberta ? BytePairStyle::kRoberta : BytePairStyle::kGpt2);
}

PipelineOr LoadSentencePiece(const Files& files, const Json&) {
  for (const char* name : {"spiece.model", "tokenizer.model"}) {
    if (const std::string* const bytes = files.Find(name)) return LoadSentencePieceModel(*bytes);
  }
  return absl::InvalidArgumentError("there is no SentencePiece model");
}

struct Kind {
  const char* vocabulary;
  const char* merges;     // null: it has none
  bool has_added_tokens;  // among its tokens; otherwise added_tokens.json beside it is refused
  PipelineOr (*load)(const Files& files, const Json& config);
};

constexpr char kOurVocabulary[] = "sentencepiece.model";  // as Shoal exports it: counts before all kinds

// The first one that is in a folder counts.
constexpr Kind kKinds[] = {
    {"tokenizer.json", nullptr, true, LoadJson},
    {"vocab.txt", nullptr, false, LoadVocabularyText},
    {"vocab.json", "merges.txt", false, LoadBytePairs},
    {"spiece.model", nullptr, false, LoadSentencePiece},
    {"tokenizer.model", nullptr, false, LoadSentencePiece},
};

// ---- special tokens ----

// "[PAD]", or {"content": "[PAD]", ...}; empty when there is none.
std::string ContentOf(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return "";  // the name of no token
  if (found->is_string()) return found->get<std::string>();
  if (!found->is_object()) return "";
  const auto content = found->find("content");
  return content != found->end() && content->is_string() ? content->get<std::string>() : "";
}

// Finds the ids of special tokens by what the files call them, or by their usual spellings.
class SpecialTokenFinder {
 public:
  SpecialTokenFinder(const PipelineTokenizer& pipeline, const Json& config, const Json& map)
      : pipeline_(pipeline), config_(config), map_(map) {}

  SpecialTokens Find() const {
    SpecialTokens special;
    special.unk = IdOf({"unk_token"}, {"[UNK]", "<unk>"}, 0);
    special.pad = IdOf({"pad_token"}, {"[PAD]", "<pad>"}, special.unk);
    special.cls = IdOf({"cls_token", "bos_token"}, {"[CLS]", "<s>"}, special.unk);
    special.sep = IdOf({"sep_token", "eos_token"}, {"[SEP]", "</s>", "<|endoftext|>"}, special.unk);
    special.mask = IdOf({"mask_token"}, {"[MASK]", "<mask>"}, special.unk);
    return special;
  }

 private:
  uint32_t IdOf(std::initializer_list<const char*> fields, std::initializer_list<const char*> spellings,
                uint32_t otherwise) const {
    for (const char* field : fields) {
      for (const Json* object : {&map_, &config_}) {
        const std::string name = ContentOf(*object, field);
        const auto id = name.empty() ? std::nullopt : pipeline_.IdOf(name);
        if (id) return *id;
      }
    }
    for (const char* spelling : spellings) {
      if (const auto id = pipeline_.IdOf(spelling)) return *id;
    }
    return otherwise;
  }

  const PipelineTokenizer& pipeline_;
  const Json& config_;
  const Json& map_;
};

// ---- the tokenizer ----

class PretrainedTokenizer : public Tokenizer {
 public:
  PretrainedTokenizer(std::vector<NamedFile> files, std::unique_ptr<PipelineTokenizer> pipeline,
                      const SpecialTokens& special)
      : files_(std::move(files)), pipeline_(std::move(pipeline)), special_(special) {
    TokenizerFiles message;
    for (const NamedFile& file : files_) {
      TokenizerFiles::File& added = *message.add_files();
      added.set_name(file.name);
      added.set_content(file.bytes);
    }
    bytes_ = absl::StrCat(kMagic, message.SerializeAsString());
  }

  std::vector<uint32_t> Encode(absl::string_view text, size_t max_tokens) const override {
    SHOAL_CHECK(max_tokens >= 2);
    Encoding encoding = pipeline_->Encode(text);
    CutTo(max_tokens, &encoding);
    return std::move(encoding.ids);
  }
  Encoding EncodePair(absl::string_view text, absl::string_view pair, size_t max_tokens) const override {
    SHOAL_CHECK(max_tokens >= 2);
    Encoding encoding = pipeline_->EncodePair(text, pair);
    CutTo(max_tokens, &encoding);
    return encoding;
  }
  Encoding EncodeWords(absl::string_view text, absl::Span<const TextSpan>) const override {
    return pipeline_->Encode(text);
  }
  std::string Decode(absl::Span<const uint32_t> ids) const override { return pipeline_->Decode(ids); }
  uint32_t vocab_size() const override { return pipeline_->vocab_size(); }
  const SpecialTokens& special() const override { return special_; }
  const std::string& bytes() const override { return bytes_; }

  // Those that it was made from; only the length is the job's.
  std::vector<NamedFile> ExportFiles(uint32_t max_length) const override {
    std::vector<NamedFile> files;
    Json config = Files{files_}.Object(kConfig).value();
    if (config.empty() && Files{files_}.Find("tokenizer.json") != nullptr)
      config["tokenizer_class"] = "PreTrainedTokenizerFast";
    config["model_max_length"] = max_length;
    for (const NamedFile& file : files_) {
      if (file.name != kConfig) files.push_back(file);
    }
    files.push_back({kConfig, config.dump(2) + "\n"});
    return files;
  }

 private:
  const std::vector<NamedFile> files_;
  const std::unique_ptr<PipelineTokenizer> pipeline_;
  const SpecialTokens special_;
  std::string bytes_;
};

const Kind* KindIn(const std::vector<std::string>& names) {
  const auto has = [&](const char* name) {
    return name == nullptr || std::find(names.begin(), names.end(), name) != names.end();
  };
  const auto found = std::find_if(std::begin(kKinds), std::end(kKinds),
                                  [&](const Kind& kind) { return has(kind.vocabulary) && has(kind.merges); });
  return found == std::end(kKinds) ? nullptr : found;
}

std::string KindsText() {
  return absl::StrJoin(kKinds, ", ", [](std::string* out, const Kind& kind) {
    absl::StrAppend(out, kind.vocabulary, kind.merges == nullptr ? "" : " with ",
                    kind.merges == nullptr ? "" : kind.merges);
  });
}

bool IsFolder(Env* env, const std::string& path) { return env->ListDir(path).ok(); }

// The kind of vocabulary of this name; null when there is none.
const Kind* KindOfFile(absl::string_view name) {
  const auto found = std::find_if(std::begin(kKinds), std::end(kKinds),
                                  [&](const Kind& kind) { return name == kind.vocabulary; });
  return found == std::end(kKinds) ? nullptr : found;
}

// The files of a vocabulary in `folder`: those that it needs, and those of its configuration that are there.
absl::StatusOr<std::vector<std::string>> FilesOfKind(Env* env, const std::string& folder, const Kind& kind) {
  std::vector<std::string> paths = {JoinPath(folder, kind.vocabulary)};
  if (kind.merges != nullptr) paths.push_back(JoinPath(folder, kind.merges));
  if (!kind.has_added_tokens && env->FileExists(JoinPath(folder, kAddedTokens))) {
    return absl::InvalidArgumentError(absl::StrCat(folder, ": ", kAddedTokens, " beside ", kind.vocabulary,
                                                   " is not supported; expected tokenizer.json"));
  }
  for (const char* name : {kConfig, kSpecialTokens}) {
    if (env->FileExists(JoinPath(folder, name))) paths.push_back(JoinPath(folder, name));
  }
  return paths;
}

}  // namespace

std::vector<std::string> TokenizerFileNames() {
  std::vector<std::string> names = {kOurVocabulary, kConfig, kSpecialTokens};
  for (const Kind& kind : kKinds) {
    names.push_back(kind.vocabulary);
    if (kind.merges != nullptr) names.push_back(kind.merges);
  }
  return names;
}

absl::StatusOr<std::vector<std::string>> TokenizerFilesAt(Env* env, const std::string& path) {
  if (!env->FileExists(path))
    return absl::NotFoundError(absl::StrCat("can't open ", path, ": there is no such file"));
  if (!IsFolder(env, path)) {
    const Kind* const kind = KindOfFile(BaseName(path));
    return kind == nullptr ? std::vector<std::string>{path} : FilesOfKind(env, DirName(path), *kind);
  }
  SHOAL_ASSIGN_OR_RETURN(const std::vector<std::string> names, env->ListDir(path));
  const std::string ours = JoinPath(path, kOurVocabulary);
  if (env->FileExists(ours)) return std::vector<std::string>{ours};
  const Kind* const kind = KindIn(names);
  if (kind != nullptr) return FilesOfKind(env, path, *kind);
  return absl::InvalidArgumentError(
      absl::StrCat(path, " has no vocabulary; expected one of ", kOurVocabulary, ", ", KindsText()));
}

absl::StatusOr<std::unique_ptr<PipelineTokenizer>> ReadPipeline(Env* env, const std::string& path) {
  const bool is_folder = IsFolder(env, path);
  std::vector<std::string> names = {BaseName(path)};
  if (is_folder) {
    SHOAL_ASSIGN_OR_RETURN(names, env->ListDir(path));
  }
  const Kind* const kind = is_folder ? KindIn(names) : KindOfFile(names[0]);
  if (kind == nullptr) {
    if (!env->FileExists(path))
      return absl::NotFoundError(absl::StrCat("can't open ", path, ": there is no such file"));
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": expected a vocabulary with one of the names ", KindsText()));
  }
  SHOAL_ASSIGN_OR_RETURN(const std::vector<std::string> paths,
                         FilesOfKind(env, is_folder ? path : DirName(path), *kind));
  std::vector<NamedFile> named;
  for (const std::string& file : paths) {
    SHOAL_ASSIGN_OR_RETURN(std::string bytes, env->ReadFile(file));
    named.push_back({BaseName(file), std::move(bytes)});
  }
  const Files files = {named};
  SHOAL_ASSIGN_OR_RETURN(const Json config, files.Object(kConfig));
  return Annotate(kind->load(files, config), path);
}

absl::StatusOr<std::unique_ptr<Tokenizer>> ReadTokenizer(Env* env, const std::string& path) {
  SHOAL_ASSIGN_OR_RETURN(const std::vector<std::string> paths, TokenizerFilesAt(env, path));
  std::vector<NamedFile> files;
  for (const std::string& file : paths) {
    SHOAL_ASSIGN_OR_RETURN(std::string bytes, env->ReadFile(file));
    files.push_back({BaseName(file), std::move(bytes)});
  }
  if (KindOfFile(files[0].name) != nullptr) return Annotate(MakePretrainedTokenizer(std::move(files)), path);
  auto tokenizer = LoadTokenizer(files[0].bytes);
  if (tokenizer.ok()) return tokenizer;
  return absl::InvalidArgumentError(absl::StrCat(paths[0], ": ", tokenizer.status().message(),
                                                 "; a vocabulary of another kind has one of the names ",
                                                 KindsText()));
}

absl::StatusOr<std::unique_ptr<Tokenizer>> MakePretrainedTokenizer(std::vector<NamedFile> named) {
  const Files files = {named};
  std::vector<std::string> names;
  for (const NamedFile& file : named) names.push_back(file.name);
  const Kind* const kind = KindIn(names);
  if (kind == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("there is no vocabulary among the files ",
                                                   absl::StrJoin(names, ", "), "; expected one of ",
                                                   KindsText()));
  }
  SHOAL_ASSIGN_OR_RETURN(const Json config, files.Object(kConfig));
  SHOAL_ASSIGN_OR_RETURN(const Json map, files.Object(kSpecialTokens));
  SHOAL_ASSIGN_OR_RETURN(std::unique_ptr<PipelineTokenizer> pipeline, kind->load(files, config));
  const size_t special_tokens = pipeline->Encode("").size();
  if (special_tokens > 2) {
    return absl::InvalidArgumentError(absl::StrCat("puts ", special_tokens,
                                                   " special tokens around a text (post_processor of "
                                                   "tokenizer.json); expected at most two"));
  }
  const SpecialTokens special = SpecialTokenFinder(*pipeline, config, map).Find();
  return std::make_unique<PretrainedTokenizer>(std::move(named), std::move(pipeline), special);
}

bool IsPretrainedTokenizer(absl::string_view bytes) { return absl::StartsWith(bytes, kMagic); }

absl::StatusOr<std::unique_ptr<Tokenizer>> ParsePretrainedTokenizer(absl::string_view bytes) {
  TokenizerFiles message;
  if (!absl::ConsumePrefix(&bytes, kMagic) ||
      !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return absl::InvalidArgumentError("not the files of a tokenizer");
  std::vector<NamedFile> files;
  for (TokenizerFiles::File& file : *message.mutable_files())
    files.push_back({std::move(*file.mutable_name()), std::move(*file.mutable_content())});
  return MakePretrainedTokenizer(std::move(files));
}

}  // namespace shoal::model
