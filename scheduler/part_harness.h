// The surroundings of one part of a job's run, for tests that drive the part alone.
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "catch2/catch.hpp"
#include "common/base/release.h"
#include "scheduler/job_context.h"
#include "scheduler/test_job.h"

namespace shoal::scheduler {

// For job 1.
struct Surroundings {
  SchedulerOptions options;
  Membership members{options};
  ProgressWatch watch{options.watch};
  Outbox out;
  JobHistory history{JobId(1), &out};
  JobContext context{options, members, watch, &out, &history};
  absl::Time now = absl::FromUnixSeconds(3600);
  std::vector<Action> actions;  // everything done so far

  // Joins a node, with a session.
  const Member& Join(uint64_t id, NodeRole role, const std::string& machine = "") {
    JoinRequest request;
    request.set_protocol_version(kProtocolVersion);
    request.set_role(role);
    request.set_name((role == NODE_ROLE_SERVER ? "server-" : "worker-") + std::to_string(id));
    request.set_address(request.name() + ":1");
    request.set_machine(machine);
    const auto member = members.Join(now, NodeId(id), request, &out);
    REQUIRE(member.ok());
    members.SessionOpened(now, *member);
    return **member;
  }
  template <typename T>
  std::vector<T> All() {
    for (Action& action : out.Take()) actions.push_back(std::move(action));
    std::vector<T> found;
    for (const Action& action : actions) {
      if (const T* const one = std::get_if<T>(&action)) found.push_back(*one);
    }
    return found;
  }
  // Directives of this kind sent to the node.
  std::vector<Directive> Sent(uint64_t node, Directive::DirectiveCase kind) {
    std::vector<Directive> sent;
    for (const SendDirective& send : All<SendDirective>()) {
      if (send.node == NodeId(node) && send.directive.directive_case() == kind)
        sent.push_back(send.directive);
    }
    return sent;
  }
  bool Said(const std::string& part) {
    for (const PublishEvent& publish : All<PublishEvent>()) {
      if (publish.event.message().find(part) != std::string::npos) return true;
    }
    return false;
  }
};

inline JobDefinition Definition(const JobSpec& spec = Spec(), bool planned = true) {
  JobDefinition job;
  job.set_job(1);
  *job.mutable_spec() = spec;
  job.set_checkpoint_dir("folder");
  if (planned) *job.mutable_plan() = Plan();
  return job;
}

// What the part writes into the state, from which it is loaded after a restart.
template <typename Part>
JobStateRecord Stored(const Part& part) {
  JobStateRecord record;
  part.SaveTo(&record);
  return record;
}

}  // namespace shoal::scheduler
