// Numbers of tokenizer.json as `tokenizers` reads them.
#pragma once

namespace shoal::model::pipeline {

// What `tokenizers` makes of the shortest decimal that stands for `value`: its JSON parser rounds the digits
// to a double and then divides by a power of ten, so the result may be a unit in the last place off. That
// decides between segmentations into the same pieces in another order, whose scores differ by rounding alone.
// Pure.
double AsTokenizersReads(double value);

}  // namespace shoal::model::pipeline
