#include <algorithm>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "model/tokenizer/pipeline/post_processor.h"
#include "model/tokenizer/pipeline/vocabulary.h"

namespace shoal::model::pipeline {
namespace {

// Far more than any model has; a file must not make every encoding huge.
constexpr size_t kMaxSpecialTokens = 1000;

// A part of a template: special tokens, or the text or the pair.
struct TemplateItem {
  std::vector<uint32_t> special_ids;
  int text = -1;  // index of the part; -1 for special tokens
  uint32_t type_id = 0;
};
using Template = std::vector<TemplateItem>;
using SpecialIds = absl::flat_hash_map<std::string, std::vector<uint32_t>>;

class TemplateProcessing : public PostProcessor {
 public:
  TemplateProcessing(Template single, Template pair) : single_(std::move(single)), pair_(std::move(pair)) {}

  void Apply(bool add_special_tokens, DraftParts* parts) const override {
    DraftParts result;
    for (const TemplateItem& item : parts->size() == 1 ? single_ : pair_) {
      if (item.text >= 0 || add_special_tokens) result.push_back(Fill(item, *parts));
    }
    *parts = std::move(result);
  }
  uint32_t end_id() const override {
    uint32_t end = 0;
    for (const Template* items : {&single_, &pair_}) {
      for (const TemplateItem& item : *items) {
        for (const uint32_t id : item.special_ids) end = std::max(end, id + 1);
      }
    }
    return end;
  }

 private:
  static std::vector<DraftToken> Fill(const TemplateItem& item, const DraftParts& parts) {
    std::vector<DraftToken> tokens;
    if (item.text >= 0) tokens = parts[item.text];
    for (DraftToken& token : tokens) token.type_id = item.type_id;
    for (const uint32_t id : item.special_ids)
      tokens.push_back({id, item.type_id, {}, TokenSource::kTemplate});
    return tokens;
  }

  Template single_, pair_;
};

// special_tokens: {"[CLS]": {"id": "[CLS]", "ids": [101], "tokens": ["[CLS]"]}, ...}
absl::StatusOr<SpecialIds> ParseSpecialIds(const JsonPlace& place) {
  SpecialIds result;
  if (!place.value->is_object())
    return InvalidAt(place.path, "is not an object, expected special tokens by name");
  for (const auto& [name, value] : place.value->items()) {
    JsonObject token({&value, absl::StrCat(place.path, ".", name), place.depth + 1});
    token.Ignore("id");
    token.Ignore("tokens");
    std::vector<uint32_t>& ids = result[name];
    for (const JsonPlace& id : token.Array("ids")) {
      const bool valid = id.value->is_number_unsigned() && id.value->get<uint64_t>() < kMaxTokenId;
      if (!valid) return InvalidAt(id.path, absl::StrCat("is ", Quoted(*id.value), ", expected a token id"));
      ids.push_back(id.value->get<uint32_t>());
    }
    SHOAL_RETURN_IF_ERROR(token.Finish());
  }
  return result;
}

absl::StatusOr<TemplateItem> ParseSpecial(JsonObject* item, const SpecialIds& special_ids) {
  TemplateItem result;
  const auto it = special_ids.find(item->RequiredString("id"));
  if (it == special_ids.end()) item->Reject("id", "expected a name from special_tokens");
  if (it != special_ids.end()) result.special_ids = it->second;
  result.type_id = item->Integer("type_id", 0);
  SHOAL_RETURN_IF_ERROR(item->Finish());
  return result;
}

absl::StatusOr<TemplateItem> ParseText(JsonObject* item, int texts) {
  TemplateItem result;
  const std::string name = item->RequiredString("id");
  result.text = name == "B" ? 1 : 0;
  if (name != "A" && (name != "B" || texts < 2))
    item->Reject("id", texts < 2 ? "expected A" : "expected A or B");
  result.type_id = item->Integer("type_id", 0);
  SHOAL_RETURN_IF_ERROR(item->Finish());
  return result;
}

// {"SpecialToken": {"id": "[CLS]", "type_id": 0}} or {"Sequence": {"id": "A", "type_id": 0}}
absl::StatusOr<TemplateItem> ParseItem(const JsonPlace& place, const SpecialIds& special_ids, int texts) {
  JsonObject object(place);
  const bool is_special = object.Has("SpecialToken");
  JsonObject item(object.Required(is_special ? "SpecialToken" : "Sequence"));
  SHOAL_RETURN_IF_ERROR(object.Finish());
  return is_special ? ParseSpecial(&item, special_ids) : ParseText(&item, texts);
}

absl::StatusOr<Template> ParseItems(JsonObject* fields, const char* name, const SpecialIds& special_ids,
                                    int texts) {
  Template result;
  size_t special_tokens = 0, found_texts = 0;
  for (const JsonPlace& place : fields->Array(name)) {
    SHOAL_ASSIGN_OR_RETURN(TemplateItem item, ParseItem(place, special_ids, texts));
    special_tokens += item.special_ids.size();
    if (item.text >= 0) ++found_texts;
    result.push_back(std::move(item));
    if (special_tokens > kMaxSpecialTokens || found_texts > 2) {
      return InvalidAt(fields->PathOf(name), absl::StrCat("has more than two texts or ", kMaxSpecialTokens,
                                                          " special tokens, which is not supported"));
    }
  }
  return result;
}

}  // namespace

absl::StatusOr<std::unique_ptr<PostProcessor>> ParseTemplate(JsonObject* fields) {
  SpecialIds special_ids;
  if (fields->Has("special_tokens")) {
    SHOAL_ASSIGN_OR_RETURN(special_ids, ParseSpecialIds(fields->Required("special_tokens")));
  }
  SHOAL_ASSIGN_OR_RETURN(Template single, ParseItems(fields, "single", special_ids, 1));
  SHOAL_ASSIGN_OR_RETURN(Template pair, ParseItems(fields, "pair", special_ids, 2));
  return std::make_unique<TemplateProcessing>(std::move(single), std::move(pair));
}

}  // namespace shoal::model::pipeline
