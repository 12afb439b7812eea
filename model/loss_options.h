// How the loss of a model that chooses among a job's labels differs in training from the plain cross-entropy,
// which evaluation always computes (kernels/loss.h).
#pragma once

#include <vector>

namespace shoal::model {

struct LossOptions {
  float label_smoothing = 0;
  float focusing = 0;                // of the focal loss; 0: none
  std::vector<float> class_weights;  // one for each label; empty: all are 1
};

}  // namespace shoal::model
