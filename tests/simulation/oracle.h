// Watches one job of a simulated cluster and compares everything with the reference, as it happens.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/base/types.h"
#include "common/protocol/payload.h"
#include "common/protocol/view_key.h"
#include "proto/parameter.pb.h"
#include "proto/scheduler.pb.h"
#include "tests/simulation/made_up_job.h"
#include "tests/simulation/reference.h"

namespace shoal::simulation {

// Remembers the first failure. Not thread-safe.
class Oracle {
 public:
  explicit Oracle(MadeUpJob job);

  const MadeUpJob& job() const { return job_; }
  const Reference& reference() const { return reference_; }
  // Empty: no failure.
  const std::string& failure() const { return failure_; }
  void Fail(std::string text);

  // ---- provenance ----
  // A worker has computed with these parameters.
  void OnComputed(Version version, const float* theta);
  // The same of an evaluation slot.
  void OnEvaluated(Version version, const float* parameters);
  // A server that serves `serving` has accepted a contribution, which may be a duplicate: it must belong to
  // that view and have the bits of the sum of the slots' gradients.
  void OnAccepted(const ViewKey& serving, const ContributionHeader& header, const Payload& payload);
  // Something that a node of one cluster sent was accepted by a node that is now in the same or another
  // cluster.
  void OnPassed(absl::string_view what, const std::string& from_cluster, const std::string& to_cluster);
  // A server that serves `serving` tells a peer these norms of its blocks.
  void OnNorms(const ViewKey& serving, absl::Span<const BlockId> blocks, const Norms& norms);
  // A worker that follows a view has accepted a block: it must belong to that view of that training.
  void OnTaken(const ViewKey& followed, const PublishedHeader& header, const float* values);

  // ---- the end ----
  // The job continues from a checkpoint of an earlier job: its metrics begin there.
  void set_first_round(uint64_t round) { first_round_ = round; }
  uint64_t first_round() const { return first_round_; }
  // The job reports that it is completed; `events` is its history.
  void OnCompleted(const Job& job, const std::vector<JobEvent>& events);
  // The job reports that it has failed; call it only when it had to. `put_back`: an older copy of the store
  // was put back, which may lack evaluations that are not repeated, since the nodes are further.
  void OnFailed(const Job& job, bool put_back);

 private:
  void CheckEvaluations(const Job& job, bool all);
  void CheckMetrics(const Job& job, const std::vector<JobEvent>& events);
  const std::vector<float>& SumOf(uint64_t round, uint32_t begin, uint32_t end);

  const MadeUpJob job_;
  const Reference reference_;
  std::map<std::tuple<uint64_t, uint32_t, uint32_t>, std::vector<float>> sums_;
  uint64_t first_round_ = 0;
  std::string failure_;
};

}  // namespace shoal::simulation
