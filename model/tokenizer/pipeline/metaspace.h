// The fields of Metaspace, which is a pre-tokenizer and a decoder.
#pragma once

#include <cstdint>
#include <string>

#include "model/tokenizer/pipeline/json_object.h"

namespace shoal::model::pipeline {

struct MetaspaceOptions {
  // Which pieces get a replacement character in front, unless they begin with one.
  enum class Prepend { kAlways, kFirst, kNever };  // kFirst: the one at the beginning of the original text

  std::string replacement;  // one character, for a space
  Prepend prepend = Prepend::kAlways;
  bool split = true;  // before each replacement character
};

// Errors stay in `fields`.
MetaspaceOptions ParseMetaspaceOptions(JsonObject* fields);

}  // namespace shoal::model::pipeline
