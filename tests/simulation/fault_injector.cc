#include "tests/simulation/fault_injector.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "tests/simulation/checkpoint_damage.h"

namespace shoal::simulation {
namespace {

absl::Duration LengthOf(const Fault& fault) { return absl::Milliseconds(fault.length_ms); }

// Of a process that is not a scheduler.
NodeProcess* AsNode(Process* process) { return static_cast<NodeProcess*>(process); }

}  // namespace

void FaultInjector::Inject(const Fault& fault) {
  state_->Log(absl::StrCat("fault: ", fault.kind, " ", fault.who, " ", fault.other));
  Process* const process = cluster_->Find(fault.who);
  if (process != nullptr) InjectInto(fault, process);
  InjectIntoCluster(fault);
}

void FaultInjector::InjectInto(const Fault& fault, Process* process) {
  using Injection = void (FaultInjector::*)(const Fault&, Process*);
  static const std::map<absl::string_view, Injection> kInjections = {
      {"kill", &FaultInjector::Kill},       {"power", &FaultInjector::Kill},
      {"crash", &FaultInjector::Crash},     {"freeze", &FaultInjector::Freeze},
      {"hang", &FaultInjector::Freeze},     {"cut", &FaultInjector::Cut},
      {"cut1", &FaultInjector::Cut},        {"stray", &FaultInjector::Stray},
      {"island", &FaultInjector::Island},   {"swallow", &FaultInjector::Swallow},
      {"full", &FaultInjector::BreakDisk},  {"broken", &FaultInjector::BreakDisk},
      {"unmount", &FaultInjector::Unmount}, {"leave", &FaultInjector::Leave},
      {"refuse", &FaultInjector::Refuse},   {"fail", &FaultInjector::Fail},
  };
  const auto found = kInjections.find(fault.kind);
  if (found != kInjections.end()) (this->*found->second)(fault, process);
}

void FaultInjector::InjectIntoCluster(const Fault& fault) {
  using Injection = void (FaultInjector::*)(const Fault&);
  static const std::map<absl::string_view, Injection> kInjections = {
      {"flip", &FaultInjector::Damage},     {"tear", &FaultInjector::Damage},
      {"swap", &FaultInjector::Damage},     {"lose", &FaultInjector::Damage},
      {"join", &FaultInjector::Join},       {"visit", &FaultInjector::Join},
      {"cancel", &FaultInjector::Cancel},   {"forget", &FaultInjector::Forget},
      {"outdate", &FaultInjector::Outdate}, {"rebuild", &FaultInjector::Rebuild},
  };
  const auto found = kInjections.find(fault.kind);
  if (found != kInjections.end()) (this->*found->second)(fault);
}

// ---- into a living process ----

void FaultInjector::Kill(const Fault& fault, Process* process) {
  fault.kind == "power" ? cluster_->LosePower(process) : process->Die();
  if (process == cluster_->scheduler()) return;  // it always comes back
  const NodeRole role = AsNode(process)->role();
  if (fault.length_ms > 0 || cluster_->Living(role).empty())
    cluster_->StartNodeAfter(absl::Milliseconds(std::max(fault.length_ms, 1)), role);
}

void FaultInjector::Crash(const Fault& fault, Process* process) {
  process->DieAfter(fault.number);
  process->set_on_death([this, process, length = LengthOf(fault)] {
    state_->Log(absl::StrCat(process->name(), " has crashed"));
    cluster_->Bury(process);
    cluster_->LosePower(process);
    if (process != cluster_->scheduler()) cluster_->StartNodeAfter(length, AsNode(process)->role());
  });
}

void FaultInjector::Freeze(const Fault& fault, Process* process) {
  process->Freeze(fault.kind == "hang" ? fault.other : "", LengthOf(fault));
}

void FaultInjector::Cut(const Fault& fault, Process* process) {
  Process* const other = cluster_->Find(fault.other);
  if (other == nullptr || other == process) return;
  if (fault.kind == "cut") return cluster_->network()->CutBoth(process, other, LengthOf(fault));
  cluster_->network()->Cut(process, other, LengthOf(fault));
}

void FaultInjector::Stray(const Fault& fault, Process* process) {
  cluster_->CutFromSchedulers(process, LengthOf(fault));
}

void FaultInjector::Island(const Fault& fault, Process* process) {
  const NodeRole role = AsNode(process)->role();
  for (NodeProcess* other : cluster_->Living(role == NODE_ROLE_SERVER ? NODE_ROLE_WORKER : NODE_ROLE_SERVER))
    cluster_->network()->CutBoth(process, other, LengthOf(fault));
}

void FaultInjector::Swallow(const Fault& fault, Process* process) {
  cluster_->network()->Swallow(process, fault.other, fault.number, LengthOf(fault));
}

void FaultInjector::BreakDisk(const Fault& fault, Process* process) {
  process->BreakDisk("", LengthOf(fault),
                     fault.kind == "full" ? absl::ResourceExhaustedError("No space left on device")
                                          : absl::InternalError("Input/output error"));
}

void FaultInjector::Unmount(const Fault& fault, Process* process) {
  process->Unmount("storage/", LengthOf(fault));
}

void FaultInjector::Leave(const Fault& fault, Process* process) {
  NodeProcess* const node = AsNode(process);
  const bool is_last = cluster_->Living(node->role()).size() < 2;
  if ((is_last && fault.length_ms == 0) || node->leaving()) return;
  node->Leave();
  if (fault.length_ms > 0) cluster_->StartNodeAfter(LengthOf(fault), node->role());
}

void FaultInjector::Refuse(const Fault& fault, Process* process) {
  AsNode(process)->RefuseJobs(LengthOf(fault));
}

void FaultInjector::Fail(const Fault& fault, Process* process) { process->FailSlots(LengthOf(fault)); }

// ---- into the cluster ----

void FaultInjector::Damage(const Fault& fault) { DamageCheckpoint(fault, state_); }

void FaultInjector::Join(const Fault& fault) {
  NodeProcess* const node = cluster_->StartNode(fault.who == "s" ? NODE_ROLE_SERVER : NODE_ROLE_WORKER);
  if (fault.kind == "visit") node->After(LengthOf(fault), [node] { node->Leave(); });
}

void FaultInjector::Cancel(const Fault& fault) {
  uint64_t job = 0;
  if (absl::SimpleAtoi(fault.who.substr(1), &job) && job < state_->jobs.size())
    job_operator_->CancelWhenPossible(job);
}

void FaultInjector::Forget(const Fault&) {
  cluster_->scheduler()->Die();
  job_operator_->StartWithEmptyStore();
}

void FaultInjector::Outdate(const Fault& fault) { job_operator_->PutStoreBackAfter(LengthOf(fault)); }

void FaultInjector::Rebuild(const Fault&) {
  const size_t servers = cluster_->Living(NODE_ROLE_SERVER).size();
  const size_t workers = cluster_->Living(NODE_ROLE_WORKER).size();
  cluster_->LosePowerOfAll();
  for (size_t i = 0; i < std::max<size_t>(1, servers % 3 + 1); ++i) cluster_->StartNode(NODE_ROLE_SERVER);
  for (size_t i = 0; i < std::max<size_t>(1, workers); ++i) cluster_->StartNode(NODE_ROLE_WORKER);
  job_operator_->StartWithEmptyStore();
}

}  // namespace shoal::simulation
