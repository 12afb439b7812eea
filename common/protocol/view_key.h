// What every message of the data plane names: job, training and view. Written and compared only here.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "common/base/types.h"

namespace shoal {

class View;

// A view of a job. Numbers alone are not unique: each cluster counts its jobs from 1, and each job its views.
struct ViewKey {
  JobId job;
  TrainingId training;
  ViewId view;  // 0: none

  std::string ToString() const;  // "job 1, training 00c0ffee00c0ffee, view 3"
  friend constexpr bool operator==(const ViewKey& a, const ViewKey& b) {
    return a.job == b.job && a.training == b.training && a.view == b.view;
  }
  friend constexpr bool operator!=(const ViewKey& a, const ViewKey& b) { return !(a == b); }
};

// The key of a View, or of a message of the data plane.
template <typename Message>
ViewKey KeyOf(const Message& message) {
  return {JobId(message.job()), TrainingId(message.training_id()), ViewId(message.view())};
}

template <typename Message>
void SetKey(const ViewKey& key, Message* message) {
  message->set_job(key.job.value());
  message->set_training_id(key.training.value());
  message->set_view(key.view.value());
}

// OK when a message with `key` is meant for the holder of `held`. FAILED_PRECONDITION, naming both, when they
// differ in any part, and whenever `held` has no view.
absl::Status CheckKey(const ViewKey& key, const ViewKey& held);

// OK when a view of `key` may follow `held`, as a newer view or as the same one; any view may when `held`
// has none. FAILED_PRECONDITION, naming both, when it is of another training.
absl::Status CheckSameTraining(const ViewKey& key, const ViewKey& held);

// OK when `next` is `held` or a newer view of its training, as are all views that a scheduler sends in
// successive sessions; any view is OK when `held` has none. FAILED_PRECONDITION for a view of another
// training; OUT_OF_RANGE for an older view or restore point, and for a different view of the same number
// (targets are not compared).
absl::Status CheckSuccessor(const View& next, const View& held);

}  // namespace shoal
