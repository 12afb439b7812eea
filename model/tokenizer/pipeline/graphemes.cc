#include "model/tokenizer/pipeline/graphemes.h"

#include "model/tokenizer/characters.h"
#include "unicode/uchar.h"

namespace shoal::model::pipeline {
namespace {

int BreakClass(uint32_t code) {
  return u_getIntPropertyValue(static_cast<UChar32>(code), UCHAR_GRAPHEME_CLUSTER_BREAK);
}

bool IsPictograph(uint32_t code) {
  return u_hasBinaryProperty(static_cast<UChar32>(code), UCHAR_EXTENDED_PICTOGRAPHIC) != 0;
}

bool IsControl(int break_class) {
  return break_class == U_GCB_CONTROL || break_class == U_GCB_CR || break_class == U_GCB_LF;
}

// GB6 to GB8.
bool IsHangulPair(int before, int after) {
  if (before == U_GCB_L) {
    return after == U_GCB_L || after == U_GCB_V || after == U_GCB_LV || after == U_GCB_LVT;
  }
  if (before == U_GCB_LV || before == U_GCB_V) return after == U_GCB_V || after == U_GCB_T;
  return (before == U_GCB_LVT || before == U_GCB_T) && after == U_GCB_T;
}

// What a boundary depends on, besides the class of the character before it.
struct ClusterState {
  int before = 0;
  bool pictograph = false;  // a pictograph and marks; GB11
  bool joins = false;       // the same, and then a joiner
  bool odd_flag = false;    // an odd number of regional indicators; GB12 and GB13
};

void Extend(uint32_t code, int break_class, ClusterState* state) {
  state->joins = state->pictograph && break_class == U_GCB_ZWJ;
  state->pictograph = IsPictograph(code) || (state->pictograph && break_class == U_GCB_EXTEND);
  state->odd_flag = break_class == U_GCB_REGIONAL_INDICATOR && !state->odd_flag;
  state->before = break_class;
}

bool IsJoined(const ClusterState& state, uint32_t code, int after) {
  if (state.before == U_GCB_CR && after == U_GCB_LF) return true;
  if (IsControl(state.before) || IsControl(after)) return false;
  if (IsHangulPair(state.before, after)) return true;
  if (after == U_GCB_EXTEND || after == U_GCB_ZWJ || after == U_GCB_SPACING_MARK) return true;
  if (state.before == U_GCB_PREPEND) return true;
  if (state.joins && IsPictograph(code)) return true;
  return state.odd_flag && after == U_GCB_REGIONAL_INDICATOR;
}

}  // namespace

size_t GraphemeEnd(absl::string_view text, size_t begin) {
  ClusterState state;
  Character c = CharacterAt(text, begin);
  Extend(c.code, BreakClass(c.code), &state);
  size_t end = begin + c.bytes;
  while (end < text.size()) {
    c = CharacterAt(text, end);
    const int after = BreakClass(c.code);
    if (!IsJoined(state, c.code, after)) break;
    Extend(c.code, after, &state);
    end += c.bytes;
  }
  return end;
}

}  // namespace shoal::model::pipeline
