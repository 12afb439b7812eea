// What every message of the data plane names: job, training and view. Written and compared here alone.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "common/base/types.h"

namespace shoal {

class View;

// A view of a job. Numbers alone tell nothing: each cluster counts its jobs from 1, and each job its views.
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

// Of a View, or of a message of the data plane.
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

// Whether what names `key` is for the holder of `held`. FAILED_PRECONDITION, naming both, when they differ
// in anything, and whenever `held` is no view.
absl::Status CheckKey(const ViewKey& key, const ViewKey& held);

// Whether a view of `key` may follow `held`, as a newer one or as the same again: any may when `held` is no
// view. FAILED_PRECONDITION, naming both, when it is of another training.
absl::Status CheckSameTraining(const ViewKey& key, const ViewKey& held);

// Whether `next` is `held` or a newer view of its training, as all are that a scheduler tells on one session
// after the other; any is when `held` is no view. FAILED_PRECONDITION for a view of another training;
// OUT_OF_RANGE for an older one, or of an older restore point, and for another one of the same number
// (targets don't count).
absl::Status CheckSuccessor(const View& next, const View& held);

}  // namespace shoal
