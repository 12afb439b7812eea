#include "tests/simulation/schedule.h"

#include <algorithm>
#include <random>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace shoal::simulation {
namespace {

absl::Status SetWeather(absl::string_view key, absl::string_view value, Schedule* schedule) {
  bool ok = true;
  if (key == "seed") {
    ok = absl::SimpleAtoi(value, &schedule->seed);
  } else if (key == "jobs") {
    schedule->jobs.clear();
    for (const absl::string_view job : absl::StrSplit(value, ',')) {
      ok = ok && absl::SimpleAtoi(job, &schedule->jobs.emplace_back());
    }
  } else if (key == "servers") {
    ok = absl::SimpleAtoi(value, &schedule->servers);
  } else if (key == "workers") {
    ok = absl::SimpleAtoi(value, &schedule->workers);
  } else if (key == "lost") {
    ok = absl::SimpleAtod(value, &schedule->lost);
  } else if (key == "doubled") {
    ok = absl::SimpleAtod(value, &schedule->doubled);
  } else if (key == "damaged") {
    ok = absl::SimpleAtod(value, &schedule->damaged);
  } else if (key == "slowest") {
    ok = absl::SimpleAtoi(value, &schedule->slowest_ms);
  } else {
    ok = false;
  }
  if (ok) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("schedule: can't read ", key, "=", value));
}

absl::StatusOr<Fault> ParseFault(absl::string_view text) {
  Fault fault;
  for (const absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> field =
        absl::StrSplit(word, absl::MaxSplits('=', 1));
    bool ok = true;
    if (field.first == "at") {
      ok = absl::SimpleAtoi(field.second, &fault.at_ms);
    } else if (field.first == "for") {
      ok = absl::SimpleAtoi(field.second, &fault.length_ms);
    } else if (field.first == "number") {
      ok = absl::SimpleAtoi(field.second, &fault.number);
    } else {
      std::string& name = fault.kind.empty() ? fault.kind : fault.who.empty() ? fault.who : fault.other;
      ok = name.empty() && field.second.empty();
      name = std::string(field.first);
    }
    if (!ok) return absl::InvalidArgumentError(absl::StrCat("schedule: can't read '", word, "' of ", text));
  }
  return fault;
}

std::string ToText(const Fault& fault) {
  std::string text = fault.kind;
  if (!fault.who.empty()) absl::StrAppend(&text, " ", fault.who);
  if (!fault.other.empty()) absl::StrAppend(&text, " ", fault.other);
  absl::StrAppend(&text, " at=", fault.at_ms);
  if (fault.length_ms > 0) absl::StrAppend(&text, " for=", fault.length_ms);
  if (fault.number > 0) absl::StrAppend(&text, " number=", fault.number);
  return text;
}

// ---- random ones ----

class Dice {
 public:
  explicit Dice(uint64_t seed) : random_(seed) {}
  int Below(int n) { return static_cast<int>(random_() % static_cast<uint64_t>(n)); }
  bool OneIn(int n) { return Below(n) == 0; }
  template <typename T, size_t N>
  const T& Pick(const T (&list)[N]) {
    return list[Below(static_cast<int>(N))];
  }

 private:
  std::mt19937_64 random_;
};

constexpr int kFaultWindowMs = 900;  // approximately the length of an undisturbed run

std::string Who(Dice* dice, const char* role) { return absl::StrCat(role, dice->Below(4)); }

std::string AnyNode(Dice* dice) { return Who(dice, dice->OneIn(2) ? "w" : "s"); }

std::string Anyone(Dice* dice) { return dice->OneIn(4) ? "scheduler" : AnyNode(dice); }

Fault RandomFault(Dice* dice) {
  static const char* const kKinds[] = {"kill",    "kill",   "power",  "power", "crash", "crash",  "crash",
                                       "freeze",  "freeze", "hang",   "hang",  "cut",   "cut",    "cut1",
                                       "island",  "full",   "broken", "leave", "join",  "refuse", "forget",
                                       "rebuild", "flip",   "tear",   "swap",  "lose"};
  static const char* const kExecutors[] = {"runner", "updates", "files", "restores", "timers", "jobs"};
  Fault fault;
  fault.kind = dice->Pick(kKinds);
  fault.at_ms = dice->Below(kFaultWindowMs);
  fault.length_ms = 5 + dice->Below(dice->OneIn(3) ? 3000 : 400);
  if (fault.kind == "kill" || fault.kind == "power" || fault.kind == "crash") {
    fault.who = Anyone(dice);
    fault.number = fault.kind == "crash" ? static_cast<uint64_t>(1 + dice->Below(60)) : 0;
  } else if (fault.kind == "hang") {
    fault.who = Anyone(dice);
    fault.other = fault.who == "scheduler" ? "files" : dice->Pick(kExecutors);
  } else if (fault.kind == "cut" || fault.kind == "cut1") {
    fault.who = AnyNode(dice);
    fault.other = Anyone(dice);
  } else if (fault.kind == "full" || fault.kind == "broken") {
    fault.who = dice->OneIn(3) ? "scheduler" : Who(dice, "s");
    // Not drawn separately, so that the numbers of older schedules keep their meaning.
    if (fault.kind == "broken" && fault.length_ms % 2 == 0) fault.kind = "unmount";
    fault.length_ms = std::min(fault.length_ms, 400);
  } else if (fault.kind == "freeze") {
    fault.who = Anyone(dice);
  } else if (fault.kind == "island" || fault.kind == "leave") {
    fault.who = AnyNode(dice);
  } else if (fault.kind == "join") {
    fault.who = dice->OneIn(4) ? "s" : "w";
    if (fault.length_ms % 2 == 0) {
      fault.kind = "visit";  // likewise
      fault.length_ms %= 100;
    }
  } else if (fault.kind == "refuse") {
    fault.who = Who(dice, "w");
    if (fault.length_ms % 2 == 0) fault.kind = "fail";  // likewise
  } else {
    fault.number = static_cast<uint64_t>(dice->Below(1000));
    if (fault.kind == "forget" && fault.length_ms % 2 == 0) fault.kind = "outdate";
  }
  return fault;
}

}  // namespace

std::string ToText(const Schedule& schedule) {
  std::string text = absl::StrCat("seed=", schedule.seed, " jobs=", absl::StrJoin(schedule.jobs, ","),
                                  " servers=", schedule.servers, " workers=", schedule.workers,
                                  " lost=", schedule.lost, " doubled=", schedule.doubled,
                                  " damaged=", schedule.damaged, " slowest=", schedule.slowest_ms);
  for (const Fault& fault : schedule.faults) absl::StrAppend(&text, " | ", ToText(fault));
  return text;
}

absl::StatusOr<Schedule> ParseSchedule(absl::string_view text) {
  Schedule schedule;
  const std::vector<absl::string_view> parts = absl::StrSplit(text, '|');
  for (const absl::string_view word : absl::StrSplit(parts[0], ' ', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> field =
        absl::StrSplit(word, absl::MaxSplits('=', 1));
    const absl::Status status = SetWeather(field.first, field.second, &schedule);
    if (!status.ok()) return status;
  }
  for (size_t i = 1; i < parts.size(); ++i) {
    const auto fault = ParseFault(parts[i]);
    if (!fault.ok()) return fault.status();
    schedule.faults.push_back(*fault);
  }
  return schedule;
}

Schedule RandomSchedule(uint64_t number) {
  Dice dice(number);
  Schedule schedule;
  schedule.seed = number;
  schedule.jobs = {static_cast<uint64_t>(dice.Below(400))};
  schedule.servers = 1 + dice.Below(3);
  schedule.workers = 1 + dice.Below(4);
  if (dice.OneIn(2)) schedule.lost = 0.001 * dice.Below(4);
  if (dice.OneIn(2)) schedule.doubled = 0.05;
  if (dice.OneIn(3)) schedule.damaged = 0.005;
  schedule.slowest_ms = dice.OneIn(3) ? 1 + dice.Below(15) : 2;
  const int faults = dice.OneIn(8) ? 0 : 1 + dice.Below(4);
  for (int i = 0; i < faults; ++i) schedule.faults.push_back(RandomFault(&dice));
  if (dice.OneIn(8)) {
    schedule.jobs.push_back(static_cast<uint64_t>(dice.Below(400)));
    if (dice.OneIn(2)) schedule.faults.push_back({"cancel", "j0", "", dice.Below(kFaultWindowMs), 0, 0});
  }
  return schedule;
}

std::vector<Schedule> Simpler(const Schedule& schedule) {
  std::vector<Schedule> simpler;
  const auto add = [&](auto change) {
    Schedule next = schedule;
    change(&next);
    if (ToText(next) != ToText(schedule)) simpler.push_back(std::move(next));
  };
  for (size_t i = 0; i < schedule.faults.size(); ++i) {
    add([i](Schedule* s) { s->faults.erase(s->faults.begin() + static_cast<std::ptrdiff_t>(i)); });
  }
  add([](Schedule* s) { s->lost = s->doubled = s->damaged = 0; });
  add([](Schedule* s) { s->lost = 0; });
  add([](Schedule* s) { s->doubled = 0; });
  add([](Schedule* s) { s->damaged = 0; });
  add([](Schedule* s) { s->slowest_ms = std::min(s->slowest_ms, 2); });
  if (schedule.jobs.size() > 1) add([](Schedule* s) { s->jobs.pop_back(); });
  add([](Schedule* s) { s->jobs = {0}; });
  if (schedule.workers > 1) add([](Schedule* s) { --s->workers; });
  if (schedule.servers > 1) add([](Schedule* s) { --s->servers; });
  for (size_t i = 0; i < schedule.faults.size(); ++i) {
    add([i](Schedule* s) { s->faults[i].length_ms /= 2; });
  }
  return simpler;
}

}  // namespace shoal::simulation
