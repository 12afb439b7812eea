// Classes of characters.
//
// Those that `tokenizers` takes from tables of an older Unicode are cut back to that version here. The others
// are ICU's, so characters that ICU does not know yet (Unicode 15.1 and later with ICU 72) have no class.
// Pure; may be called by any thread.
#pragma once

#include <cstdint>

namespace shoal::model::pipeline {

bool IsWhiteSpace(uint32_t code);     // property White_Space
bool IsLetter(uint32_t code);         // categories L*
bool IsNumber(uint32_t code);         // categories N*
bool IsWordCharacter(uint32_t code);  // \w of Unicode's regular expressions

bool IsPunctuation(uint32_t code);       // categories P* of Unicode 8, and ASCII's symbols
bool IsBertControl(uint32_t code);       // categories Cc, Cf and Co of Unicode 8, except tab, CR and LF
bool IsNonspacingMark(uint32_t code);    // category Mn of Unicode 8
bool IsCombiningMark(uint32_t code);     // categories M* of Unicode 9
bool IsChineseCharacter(uint32_t code);  // BERT's ranges

// Whether the character was assigned in Unicode 9 or before.
bool IsInUnicode9(uint32_t code);

}  // namespace shoal::model::pipeline
