// The single record of a job's state, in which each part owns some fields.
#include "catch2/catch.hpp"
#include "common/protocol/same_message.h"
#include "scheduler/completion.h"
#include "scheduler/metric_recorder.h"
#include "scheduler/part_harness.h"
#include "scheduler/plan_derivation.h"
#include "scheduler/roll_call.h"
#include "scheduler/view_rollout.h"

namespace shoal::scheduler {
namespace {

using google::protobuf::FieldDescriptor;

// Gives each field a value, and repeated fields one element.
void Fill(google::protobuf::Message* message) {
  const auto* const reflection = message->GetReflection();
  for (int i = 0; i < message->GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* const f = message->GetDescriptor()->field(i);
    const bool many = f->is_repeated();
    switch (f->cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE:
        Fill(many ? reflection->AddMessage(message, f) : reflection->MutableMessage(message, f));
        break;
      case FieldDescriptor::CPPTYPE_UINT64:
        many ? reflection->AddUInt64(message, f, 5) : reflection->SetUInt64(message, f, 5);
        break;
      case FieldDescriptor::CPPTYPE_UINT32:
        many ? reflection->AddUInt32(message, f, 5) : reflection->SetUInt32(message, f, 5);
        break;
      case FieldDescriptor::CPPTYPE_INT64:
        reflection->SetInt64(message, f, 5);
        break;
      case FieldDescriptor::CPPTYPE_DOUBLE:
        reflection->SetDouble(message, f, 0.5);
        break;
      case FieldDescriptor::CPPTYPE_BOOL:
        reflection->SetBool(message, f, true);
        break;
      case FieldDescriptor::CPPTYPE_ENUM:
        reflection->SetEnumValue(message, f, 1);
        break;
      case FieldDescriptor::CPPTYPE_STRING:
        reflection->SetString(message, f, "text");
        break;
      default:
        FAIL("no value for " << f->full_name());
    }
  }
}

TEST_CASE("Each field of the stored state belongs to one part, which reads and writes it") {
  JobStateRecord stored;
  Fill(&stored);
  Surroundings s;
  JobDefinition job = Definition();
  RollCall roll_call(s.context, job);
  PlanDerivation derivation(s.context, &job, &roll_call);
  ViewRollout rollout{Version(0)};
  EvaluationLedger evaluations(s.context, job);
  CheckpointKeeper checkpoints(s.context, job, evaluations);
  MetricRecorder metrics(s.context, job);
  Completion completion(s.context, job, evaluations, &checkpoints);
  s.history.Load(stored);
  derivation.Load(stored);
  roll_call.Load(absl::UnixEpoch(), stored);
  rollout.Load(stored);
  evaluations.Load(stored, {});
  checkpoints.Load(stored);
  metrics.Load(s.now, stored);
  completion.Load(stored);

  JobStateRecord saved;  // these are JobRun's own
  saved.set_state(stored.state());
  saved.set_reason(stored.reason());
  saved.set_started_unix_ms(stored.started_unix_ms());
  saved.set_ended_unix_ms(stored.ended_unix_ms());
  s.history.SaveTo(&saved);
  derivation.SaveTo(&saved);
  rollout.SaveTo(&saved);
  evaluations.SaveTo(&saved);
  checkpoints.SaveTo(&saved);
  metrics.SaveTo(&saved);
  completion.SaveTo(&saved);
  CHECK(SameMessage(saved, stored));
}

}  // namespace
}  // namespace shoal::scheduler
