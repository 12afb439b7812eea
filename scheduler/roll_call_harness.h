// The surroundings of a roll call, for its tests.
#pragma once

#include <cstddef>
#include <cstdint>

#include "catch2/catch.hpp"
#include "scheduler/part_harness.h"
#include "scheduler/roll_call.h"

namespace shoal::scheduler {

struct RollCallHarness : Surroundings {
  JobDefinition job = Definition();
  RollCall roll_call{context, job};

  bool started = true;  // as Watch() is told
  uint64_t views = 100;

  const Member& Join(uint64_t id, NodeRole role) {
    const Member& member = Surroundings::Join(id, role);
    Watch();
    return member;
  }
  void Watch() { roll_call.Watch(now, started); }
  size_t Offers(uint64_t node) { return Sent(node, Directive::kPrepareJob).size(); }
  void Offer() { roll_call.OfferPlan(now, /*except=*/NodeId(0)); }
  // `view`: whose work has failed; 0: a new one.
  RollCall::Refusal Refused(const Member& member, bool fatal = false, bool at_work = false,
                            uint64_t view = 0) {
    JobRefused report;
    report.set_reason("no such file");
    report.set_fatal(fatal);
    if (at_work) report.set_view(view > 0 ? view : ++views);
    return roll_call.OnRefused(now, member, report, at_work);
  }
};

}  // namespace shoal::scheduler
