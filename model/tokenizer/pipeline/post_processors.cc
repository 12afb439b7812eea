#include <algorithm>
#include <initializer_list>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/tokenizer/pipeline/post_processor.h"
#include "model/tokenizer/pipeline/vocabulary.h"

namespace shoal::model::pipeline {
namespace {

using PostProcessorOr = absl::StatusOr<std::unique_ptr<PostProcessor>>;

// Takes the spaces of token `i` out of its offsets.
void TrimToken(const TrimOptions& trim, size_t i, DraftToken* token) {
  TextSpan& offsets = token->offsets;
  // A single space may be the one that was added. More than one were in the text, which then got none.
  const bool added = trim.add_prefix_space && token->leading_spaces == 1 && (i == 0 || offsets.begin == 0);
  const uint32_t leading = added ? 0 : token->leading_spaces;
  offsets.begin = std::min(offsets.begin + leading, std::max(offsets.begin, offsets.end));
  if (token->trailing_spaces > 0 && offsets.end >= token->trailing_spaces) {
    offsets.end = std::max(offsets.end - token->trailing_spaces, offsets.begin);
  }
}

void TrimParts(const TrimOptions& trim, DraftParts* parts) {
  if (!trim.trim_offsets) return;
  for (auto& part : *parts) {
    for (size_t i = 0; i < part.size(); ++i) TrimToken(trim, i, &part[i]);
  }
}

class ByteLevelProcessing : public PostProcessor {
 public:
  explicit ByteLevelProcessing(const TrimOptions& trim) : trim_(trim) {}

  void Apply(bool, DraftParts* parts) const override { TrimParts(trim_, parts); }
  bool needs_spaces() const override { return trim_.trim_offsets; }

 private:
  TrimOptions trim_;
};

DraftToken Special(uint32_t id, uint32_t type_id) { return {id, type_id, {}, TokenSource::kTemplate}; }

uint32_t EndId(std::initializer_list<uint32_t> ids) { return std::max(ids) + 1; }

class BertProcessing : public PostProcessor {
 public:
  BertProcessing(uint32_t cls_id, uint32_t sep_id) : cls_id_(cls_id), sep_id_(sep_id) {}

  void Apply(bool add_special_tokens, DraftParts* parts) const override {
    if (!add_special_tokens) return;
    for (size_t i = 0; i < parts->size(); ++i) {
      auto& part = (*parts)[i];
      if (i == 0) part.insert(part.begin(), Special(cls_id_, 0));
      part.push_back(Special(sep_id_, i == 0 ? 0 : 1));
    }
  }
  uint32_t end_id() const override { return EndId({cls_id_, sep_id_}); }

 private:
  uint32_t cls_id_, sep_id_;
};

class RobertaProcessing : public PostProcessor {
 public:
  RobertaProcessing(uint32_t cls_id, uint32_t sep_id, const TrimOptions& trim)
      : cls_id_(cls_id), sep_id_(sep_id), trim_(trim) {}

  void Apply(bool add_special_tokens, DraftParts* parts) const override {
    TrimParts(trim_, parts);
    for (auto& part : *parts) {
      for (DraftToken& token : part) token.type_id = 0;
    }
    if (!add_special_tokens) return;
    for (size_t i = 0; i < parts->size(); ++i) {
      auto& part = (*parts)[i];
      part.insert(part.begin(), Special(i == 0 ? cls_id_ : sep_id_, 0));
      part.push_back(Special(sep_id_, 0));
    }
  }
  bool needs_spaces() const override { return trim_.trim_offsets; }
  uint32_t end_id() const override { return EndId({cls_id_, sep_id_}); }

 private:
  uint32_t cls_id_, sep_id_;
  TrimOptions trim_;
};

class SequenceProcessing : public PostProcessor {
 public:
  explicit SequenceProcessing(std::vector<std::unique_ptr<PostProcessor>> steps) : steps_(std::move(steps)) {}

  void Apply(bool add_special_tokens, DraftParts* parts) const override {
    for (const auto& step : steps_) step->Apply(add_special_tokens, parts);
  }
  bool needs_spaces() const override {
    return std::any_of(steps_.begin(), steps_.end(), [](const auto& step) { return step->needs_spaces(); });
  }
  uint32_t end_id() const override {
    uint32_t end = 0;
    for (const auto& step : steps_) end = std::max(end, step->end_id());
    return end;
  }

 private:
  std::vector<std::unique_ptr<PostProcessor>> steps_;
};

TrimOptions ParseTrim(JsonObject* fields) {
  return {fields->Bool("trim_offsets", true), fields->Bool("add_prefix_space", true)};
}

// A field such as "sep": ["[SEP]", 102].
uint32_t ParseTokenId(JsonObject* fields, const char* name) {
  const JsonPlace place = fields->Required(name);
  const Json& value = *place.value;
  if (value.is_array() && value.size() == 2 && value[0].is_string() && value[1].is_number_unsigned() &&
      value[1].get<uint64_t>() < kMaxTokenId) {
    return value[1].get<uint32_t>();
  }
  fields->Reject(name, "expected a token and its id");
  return 0;
}

PostProcessorOr ParseByteLevelProcessing(JsonObject* fields) {
  fields->Ignore("use_regex");  // of the pre-tokenizer
  return MakeByteLevelProcessing(ParseTrim(fields));
}

PostProcessorOr ParseBertProcessing(JsonObject* fields) {
  const uint32_t cls_id = ParseTokenId(fields, "cls");
  return MakeBertProcessing(cls_id, ParseTokenId(fields, "sep"));
}

PostProcessorOr ParseRobertaProcessing(JsonObject* fields) {
  const uint32_t cls_id = ParseTokenId(fields, "cls");
  const uint32_t sep_id = ParseTokenId(fields, "sep");
  return MakeRobertaProcessing(cls_id, sep_id, ParseTrim(fields));
}

PostProcessorOr ParseSequence(JsonObject* fields) {
  std::vector<std::unique_ptr<PostProcessor>> steps;
  for (const JsonPlace& place : fields->Array("processors")) {
    SHOAL_ASSIGN_OR_RETURN(auto step, ParsePostProcessor(place));
    steps.push_back(std::move(step));
  }
  return std::make_unique<SequenceProcessing>(std::move(steps));
}

constexpr ComponentKind<PostProcessor> kKinds[] = {
    {"BertProcessing", ParseBertProcessing},       {"ByteLevel", ParseByteLevelProcessing},
    {"RobertaProcessing", ParseRobertaProcessing}, {"Sequence", ParseSequence},
    {"TemplateProcessing", ParseTemplate},
};

}  // namespace

PostProcessorOr ParsePostProcessor(const JsonPlace& place) {
  return ParseComponent<PostProcessor>(place, kKinds);
}

std::unique_ptr<PostProcessor> MakeBertProcessing(uint32_t cls_id, uint32_t sep_id) {
  return std::make_unique<BertProcessing>(cls_id, sep_id);
}

std::unique_ptr<PostProcessor> MakeRobertaProcessing(uint32_t cls_id, uint32_t sep_id,
                                                     const TrimOptions& trim) {
  return std::make_unique<RobertaProcessing>(cls_id, sep_id, trim);
}

std::unique_ptr<PostProcessor> MakeByteLevelProcessing(const TrimOptions& trim) {
  return std::make_unique<ByteLevelProcessing>(trim);
}

}  // namespace shoal::model::pipeline
