#include "tests/simulation/reference.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace shoal::simulation {
namespace {

using Floats = std::vector<float>;

Floats ToWire(const JobSpec& spec, Floats x) {
  for (float& value : x) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    if (spec.train().wire() == WIRE_FORMAT_BF16) bits = (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000u;
    std::memcpy(&value, &bits, sizeof(bits));
  }
  return x;
}

// Sum over the slots [begin, end), by recursive halving.
Floats Sum(const MadeUpJob& job, uint64_t round, uint64_t begin, uint64_t end, const Floats& theta,
           ContributionStats* stats) {
  Floats sum(theta.size());
  if (end - begin == 1) {
    *stats = MadeUpGradient(job, round, begin, theta, absl::MakeSpan(sum));
    return ToWire(job.spec, sum);
  }
  const uint64_t middle = begin + (end - begin) / 2;
  ContributionStats right_stats;
  sum = Sum(job, round, begin, middle, theta, stats);
  const Floats right = Sum(job, round, middle, end, theta, &right_stats);
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += right[i];
  stats->set_weight(stats->weight() + right_stats.weight());
  stats->set_tokens(stats->tokens() + right_stats.tokens());
  stats->set_loss(stats->loss() + right_stats.loss());
  stats->set_examples(stats->examples() + right_stats.examples());
  return ToWire(job.spec, sum);
}

double SquaredNorm(const MadeUpJob& job, const Floats& x) {
  double norm = 0;
  for (size_t b = 0; b < job.blocks.size(); ++b) norm += ReferenceSquaredNorm(job, x, b);
  return norm;
}

double Power(double base, uint64_t n) {
  double power = 1;
  for (; n > 0; n /= 2, base *= base) power = n % 2 == 1 ? power * base : power;
  return power;
}

struct State {
  Floats theta, first, second, average;
};

// As documented in kernels/optimizer.h.
void Update(const OptimizerSpec& o, double peak, double scale, uint64_t t, const Floats& sum,
            const std::vector<bool>& decays, const std::vector<double>& factors, State* s) {
  const bool decoupled = o.type() == OPTIMIZER_TYPE_ADAMW;
  for (size_t i = 0; i < sum.size(); ++i) {
    const double rate = peak * factors[i];
    const double decay = decays[i] ? o.weight_decay() : 0;
    float &p = s->theta[i], &m = s->first[i], &v = s->second[i];
    const float g = std::fma(p, decoupled ? 0.0f : float(decay), sum[i] * float(scale));
    if (o.type() == OPTIMIZER_TYPE_SGD) {
      m = std::fma(m, float(o.momentum()), g);
      p = std::fma(o.nesterov() ? -std::fma(m, float(o.momentum()), g) : -m, float(rate), p);
      continue;
    }
    m = std::fma(g - m, float(1 - o.beta1()), m);
    v = std::fma(v, float(o.beta2()), g * g * float(1 - o.beta2()));
    const float root =
        std::fma(std::sqrt(v), float(1 / std::sqrt(1 - Power(o.beta2(), t))), float(o.epsilon()));
    p = std::fma(-(m / root), float(rate / (1 - Power(o.beta1(), t))),
                 p * float(decoupled ? 1 - rate * decay : 1));
  }
}

void Average(double decay, double t, State* s) {
  const double of_round = std::min(decay, (1 + t) / (10 + t));
  for (size_t i = 0; i < s->theta.size(); ++i)
    s->average[i] = std::fma(s->theta[i] - s->average[i], float(1 - of_round), s->average[i]);
}

double Rate(const JobSpec& spec, double rounds, double round) {
  const double peak = spec.optimizer().learning_rate(), warm = spec.schedule().warmup().rounds();
  const double end = spec.schedule().end_factor();
  if (round < warm) return peak * ((round + 1) / warm);
  if (spec.schedule().type() == SCHEDULE_TYPE_CONSTANT) return peak;
  return peak * (end + (1 - end) * ((rounds - round) / (rounds - warm)));
}

EvaluationRecord Evaluate(const MadeUpJob& job, EvaluationSet set, uint64_t version, const Floats& theta) {
  const JobSpec& spec = job.spec;
  EvaluationRecord record;
  record.set_set(set);
  record.set_version(version);
  EvaluationStatistics& all = *record.mutable_statistics();
  for (uint64_t slot = 0; slot < spec.train().slots(); ++slot) {
    const EvaluationStatistics one = MadeUpEvaluation(job, set, slot, theta);
    all.set_examples(all.examples() + one.examples());
    all.set_loss(all.loss() + one.loss());
    for (int i = 0; i < 4; ++i) {
      if (slot == 0) all.add_confusion(0);
      all.set_confusion(i, all.confusion(i) + one.confusion(i));
    }
  }
  record.set_loss(all.loss() / double(all.examples()));
  const double right = double(all.confusion(0)) + double(all.confusion(3));
  record.set_metric(spec.evaluation().metric() == METRIC_LOSS ? record.loss()
                                                              : right / double(all.examples()));
  return record;
}

// "round 3, slot 1: the loss is not a number".
std::string FailureAt(const std::string& where, uint64_t round, const MadeUpJob& job) {
  return where + std::to_string(round) + ", slot " + std::to_string(job.bad->slot) +
         ": the loss is not a number";
}

}  // namespace

Reference RunReference(const MadeUpJob& job) {
  const JobSpec& spec = job.spec;
  const JobPlan& plan = job.plan;
  const EvaluationSpec& evaluation = spec.evaluation();
  Reference out;
  State s;
  std::vector<bool> decays;
  std::vector<double> factors;
  for (const ParameterInfo& parameter : plan.parameters()) {
    s.theta.insert(s.theta.end(), parameter.shape(0), parameter.init().kind() == Initializer::ONES);
    decays.insert(decays.end(), parameter.shape(0), parameter.decay());
    factors.insert(factors.end(), parameter.shape(0),
                   parameter.has_rate_factor() ? parameter.rate_factor() : 1);
  }
  s.first.resize(s.theta.size());
  s.second.resize(s.theta.size());
  s.average = s.theta;
  Floats kept_average;
  const double decay = spec.optimizer().ema_decay();
  uint32_t without_best = 0;
  double best = 0;
  for (bool over = false; !over;) {
    ContributionStats stats;
    const uint64_t round = out.rounds++;
    out.published.push_back(ToWire(spec, s.theta));
    if (decay > 0) out.averages.push_back(ToWire(spec, s.average));
    const Floats sum = Sum(job, round, 0, spec.train().slots(), out.published.back(), &stats);
    out.stats.push_back(stats);
    const bool skipped = std::isnan(stats.loss()) && spec.optimizer().skip_not_finite();
    if (std::isnan(stats.loss()) && !skipped) {
      out.failure = FailureAt("round ", round, job);
      return out;
    }
    const double norm = std::sqrt(SquaredNorm(job, sum)) / double(stats.weight());
    const double limit = spec.optimizer().clip_norm();
    if (!skipped) {
      Update(spec.optimizer(), Rate(spec, double(plan.rounds()), double(round)),
             (limit > 0 && norm > limit ? limit / norm : 1) / double(stats.weight()), round + 1, sum, decays,
             factors, &s);
      Average(decay, double(round + 1), &s);
    }
    over = out.rounds == plan.rounds();
    bool is_best = false;
    if (plan.validation_examples() > 0 && (over || out.rounds % evaluation.every().rounds() == 0)) {
      const Floats& evaluated = decay > 0 ? s.average : s.theta;
      EvaluationRecord record = Evaluate(job, EVALUATION_SET_VALIDATION, out.rounds, ToWire(spec, evaluated));
      if (std::isnan(record.loss())) {
        out.published.push_back(ToWire(spec, s.theta));
        if (decay > 0) out.averages.push_back(ToWire(spec, s.average));
        out.failure = FailureAt("evaluation after round ", out.rounds, job);
        return out;
      }
      const double value = evaluation.metric() == METRIC_LOSS ? -record.metric() : record.metric();
      is_best = out.evaluations.empty() || value > best;
      if (is_best) best = value;
      record.set_best(is_best);
      out.evaluations.push_back(record);
      without_best = is_best ? 0 : without_best + 1;
      over = over || (evaluation.patience() > 0 && without_best >= evaluation.patience());
    }
    if (is_best || !evaluation.keep_best()) {
      out.kept = s.theta;
      kept_average = s.average;
      out.kept_version = out.rounds;
    }
  }
  out.published.push_back(ToWire(spec, s.theta));
  if (decay > 0) out.averages.push_back(ToWire(spec, s.average));
  if (plan.test_examples() == 0) return out;
  const EvaluationRecord test =
      Evaluate(job, EVALUATION_SET_TEST, out.kept_version, ToWire(spec, decay > 0 ? kept_average : out.kept));
  if (std::isnan(test.loss())) {
    out.failure = FailureAt("test after round ", out.kept_version, job);
  } else {
    out.evaluations.push_back(test);
  }
  return out;
}

Floats ReferenceSum(const MadeUpJob& job, const Reference& reference, uint64_t round, uint64_t begin,
                    uint64_t end) {
  ContributionStats stats;
  return Sum(job, round, begin, end, reference.published[round], &stats);
}

// 16 interleaved sums, added by halves.
double ReferenceSquaredNorm(const MadeUpJob& job, const Floats& sum, uint64_t block) {
  const float* x = sum.data();
  for (uint64_t b = 0; b < block; ++b) x += job.blocks[b];
  double s[16] = {};
  for (uint64_t j = 0; j < job.blocks[block]; ++j)
    s[j % 16] = std::fma(double{x[j]}, double{x[j]}, s[j % 16]);
  for (int width = 8; width > 0; width /= 2)
    for (int j = 0; j < width; ++j) s[j] += s[j + width];
  return s[0];
}

}  // namespace shoal::simulation
