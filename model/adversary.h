// Adversarial training: each batch is also computed with its tokens' vectors moved to where the loss is
// higher.
#pragma once

namespace shoal::model {

// The vectors of an example's tokens are moved, together, by at most `radius`: in the first pass not at all,
// or at random; in each further one by `step` more along the gradient of the pass before.
//   FGM (Miyato, Dai and Goodfellow, 2017): two passes, step = radius
//   FreeLB (Zhu et al., 2020): several passes, with a random start
struct AdversaryOptions {
  double step = 0;
  double radius = 0;
  bool random_start = false;
};

}  // namespace shoal::model
