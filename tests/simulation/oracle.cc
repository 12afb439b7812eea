#include "tests/simulation/oracle.h"

#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/sha256.h"
#include "common/protocol/contribution_payload.h"

namespace shoal::simulation {
namespace {

bool SameBits(const float* a, const float* b, uint64_t size) {
  return std::memcmp(a, b, size * sizeof(float)) == 0;
}

uint64_t OffsetOf(const MadeUpJob& job, uint64_t block) {
  uint64_t offset = 0;
  for (uint64_t b = 0; b < block; ++b) offset += job.blocks[b];
  return offset;
}

}  // namespace

Oracle::Oracle(MadeUpJob job) : job_(std::move(job)), reference_(RunReference(job_)) {}

void Oracle::Fail(std::string text) {
  if (failure_.empty()) failure_ = std::move(text);
}

const std::vector<float>& Oracle::SumOf(uint64_t round, uint32_t begin, uint32_t end) {
  std::vector<float>& sum = sums_[{round, begin, end}];
  if (sum.empty()) sum = ReferenceSum(job_, reference_, round, begin, end);
  return sum;
}

void Oracle::OnComputed(Version version, const float* theta) {
  const uint64_t v = version.value();
  if (v >= reference_.published.size())
    return Fail(absl::StrCat("a slot was computed with version ", v, ", which the reference does not have"));
  const std::vector<float>& expected = reference_.published[v];
  if (!SameBits(theta, expected.data(), expected.size()))
    Fail(absl::StrCat("a slot was computed with parameters other than those of version ", v));
}

void Oracle::OnEvaluated(Version version, const float* parameters) {
  const auto& all = reference_.averages.empty() ? reference_.published : reference_.averages;
  const uint64_t v = version.value();
  if (v >= all.size() || !SameBits(parameters, all[v].data(), all[v].size()))
    Fail(absl::StrCat("parameters were evaluated that are not those of version ", v));
}

void Oracle::OnPassed(absl::string_view what, const std::string& from_cluster,
                      const std::string& to_cluster) {
  if (from_cluster != to_cluster)
    Fail(absl::StrCat(what, " of ", from_cluster, " was accepted in ", to_cluster));
}

void Oracle::OnAccepted(const ViewKey& serving, const ContributionHeader& header, const Payload& payload) {
  const std::string what =
      absl::StrCat("a contribution of view ", header.view(), ", round ", header.round(), ", block ",
                   header.block(), ", slots ", header.slot_begin(), " to ", header.slot_end());
  if (KeyOf(header) != serving)
    return Fail(absl::StrCat(what, " (", KeyOf(header).ToString(), ") was accepted in ", serving.ToString()));
  if (header.round() >= reference_.stats.size())
    return Fail(absl::StrCat(what, " was accepted: the reference has no such round"));
  const std::vector<float>& sum = SumOf(header.round(), header.slot_begin(), header.slot_end());
  std::vector<float> values(job_.blocks[header.block()]);
  if (!DecodeContribution(header, payload, absl::MakeSpan(values)).ok() ||
      !SameBits(values.data(), sum.data() + OffsetOf(job_, header.block()), values.size()))
    Fail(absl::StrCat(what, " differs from the reference"));
}

void Oracle::OnNorms(const ViewKey& serving, absl::Span<const BlockId> blocks, const Norms& norms) {
  const std::string what = absl::StrCat("norms of round ", norms.round(), ", shard ", norms.shard(), ", ",
                                        KeyOf(norms).ToString());
  if (KeyOf(norms) != serving) return Fail(absl::StrCat(what, " were told in ", serving.ToString()));
  if (norms.round() >= reference_.stats.size())
    return Fail(absl::StrCat(what, " were told: the reference has no such round"));
  if (norms.squared_norms_size() != static_cast<int>(blocks.size()))
    return Fail(absl::StrCat(what, ": ", norms.squared_norms_size(), " of ", blocks.size(), " blocks"));
  const std::vector<float>& sum = SumOf(norms.round(), 0, job_.spec.train().slots());
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (norms.squared_norms(static_cast<int>(i)) != ReferenceSquaredNorm(job_, sum, blocks[i].value()))
      Fail(absl::StrCat(what, " differ from the reference"));
  }
}

void Oracle::OnTaken(const ViewKey& followed, const PublishedHeader& header, const float* values) {
  const std::string what = absl::StrCat("block ", header.block(), " of version ", header.version(), ", ",
                                        KeyOf(header).ToString());
  if (KeyOf(header) != followed) return Fail(absl::StrCat(what, " was accepted in ", followed.ToString()));
  if (header.version() >= reference_.published.size())
    return Fail(absl::StrCat(what, " was published: the reference has no such version"));
  const std::vector<float>& expected = reference_.published[header.version()];
  if (!SameBits(values, expected.data() + OffsetOf(job_, header.block()), job_.blocks[header.block()]))
    Fail(absl::StrCat(what, " was published, and differs from the reference"));
}

void Oracle::OnFailed(const Job& job, bool put_back) {
  if (job.reason() != reference_.failure)
    Fail(absl::StrCat("the job has failed: '", job.reason(), "', expected '", reference_.failure, "'"));
  CheckEvaluations(job, /*all=*/!put_back);
}

void Oracle::OnCompleted(const Job& job, const std::vector<JobEvent>& events) {
  if (!reference_.failure.empty())
    return Fail(absl::StrCat("the job is completed, expected that it fails: ", reference_.failure));
  Sha256 sha256;
  sha256.Add(reference_.kept.data(), reference_.kept.size() * sizeof(float));
  const JobResult& result = job.result();
  if (result.version() != reference_.kept_version)
    Fail(absl::StrCat("version ", result.version(), " is kept, expected ", reference_.kept_version));
  if (result.parameters_sha256() != sha256.HexDigest()) Fail("the result differs from the reference");
  if (result.rounds() != reference_.stats.size())
    Fail(absl::StrCat(result.rounds(), " rounds, expected ", reference_.stats.size()));
  if (result.stopped_early() != (reference_.stats.size() < job_.plan.rounds()))
    Fail(absl::StrCat("stopped early: ", result.stopped_early()));
  CheckEvaluations(job, /*all=*/true);
  CheckMetrics(job, events);
}

void Oracle::CheckEvaluations(const Job& job, bool all) {
  const std::vector<EvaluationRecord>& expected = reference_.evaluations;
  size_t next = 0;  // of the expected ones
  for (const EvaluationRecord& evaluation : job.evaluations()) {
    const auto is_it = [&](const EvaluationRecord& other) {
      return evaluation.SerializeAsString() == other.SerializeAsString();
    };
    while (!all && next < expected.size() && !is_it(expected[next])) ++next;
    if (next == expected.size() || !is_it(expected[next]))
      return Fail(absl::StrCat("an evaluation that is not expected: ", evaluation.ShortDebugString()));
    ++next;
  }
  if (all && next < expected.size()) Fail(absl::StrCat(next, " evaluations, expected ", expected.size()));
}

// The windows must follow one another without gaps, whatever their boundaries, and each must have its rounds'
// mean.
void Oracle::CheckMetrics(const Job& job, const std::vector<JobEvent>& events) {
  uint64_t next = first_round_, tokens = 0, examples = 0;
  for (const JobEvent& event : events) {
    if (!event.has_metric()) continue;
    double loss = 0;
    uint64_t weight = 0, skipped_rounds = 0;
    const uint64_t first = next;
    for (; next < event.metric().round() && next < reference_.stats.size(); ++next) {
      const ContributionStats& stats = reference_.stats[next];
      const bool skipped = std::isnan(stats.loss());
      loss += skipped ? 0 : stats.loss();
      weight += skipped ? 0 : stats.weight();
      skipped_rounds += skipped ? 1 : 0;
      tokens += stats.tokens();
      examples += stats.examples();
    }
    const double mean = loss / static_cast<double>(weight);  // not a number if all were skipped
    const bool same = event.metric().loss() == mean || (weight == 0 && std::isnan(event.metric().loss()));
    if (!same || event.metric().round() != next || event.metric().skipped() != skipped_rounds) {
      return Fail(absl::StrCat("metrics of rounds ", first, " to ", event.metric().round(), ": loss ",
                               event.metric().loss(), ", expected ", mean));
    }
  }
  if (next != reference_.stats.size())
    return Fail(absl::StrCat("the metrics end after ", next, " rounds of ", reference_.stats.size()));
  if (job.result().tokens() != tokens || job.result().examples() != examples) {
    Fail(absl::StrCat("the result counts ", job.result().examples(), " examples and ", job.result().tokens(),
                      " tokens; expected ", examples, " and ", tokens));
  }
}

}  // namespace shoal::simulation
