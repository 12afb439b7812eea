// A worker's core: a sequence of correct and changed views, targets, versions, blocks and results. Asserted:
// work is inside the worker's slots and the slot tree and below the target, blocks are stored only in buffers
// that may be written, the base version never decreases unless the worker is located again, and the number of
// pending actions is bounded by the events.
#include "worker/worker_core.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "tests/fuzz/byte_source.h"
#include "tests/fuzz/message_mutator.h"

namespace shoal::worker {
namespace {

constexpr uint64_t kSelf = 7;
constexpr uint32_t kSlots = 6;
constexpr uint32_t kBlocks = 3;
constexpr int kMaxEvents = 300;

class Session {
 public:
  explicit Session(ByteSource* source)
      : source_(source), core_({JobId(1), NodeId(kSelf), kSlots, kBlocks}), tree_(kSlots) {}

  void Play() {
    for (int events = 0; events < kMaxEvents && !source_->done(); ++events) {
      const Version base = core_.base();
      const bool located = core_.located();
      Event();
      for (WorkerAction& action : core_.TakeActions()) {
        // New streams are opened at the worker's current position.
        if (const auto* open = std::get_if<OpenStreams>(&action)) {
          SHOAL_CHECK(open->view == core_.view());
          moved_ = true;
        }
      }
      if (located && core_.located() && !moved_) SHOAL_CHECK(core_.base() >= base);
      moved_ = false;
      SHOAL_CHECK(core_.PullFrom() >= core_.base());
    }
  }

 private:
  void Event() {
    const uint32_t kind = source_->Below(16);
    if (kind < 5) return Block();
    if (kind < 8) return Run();
    switch (kind) {
      case 8:
        return ReceiveVersion();
      case 9:
        return OnView(/*changed=*/false);
      case 10:
        return OnView(/*changed=*/true);
      case 11:
        return OnTarget();
      case 12:
      case 13:
        return OnVersions();
      case 14:
        return core_.OnSessionOpened();
      default:
        return core_.OnOutOfRange(AView());
    }
  }

  // Mostly the current view.
  ViewId AView() { return source_->Below(8) == 0 ? ViewId(source_->Number()) : core_.view(); }
  Version AVersion() {
    const uint32_t choice = source_->Below(8);
    return choice == 0 ? Version(source_->Number()) : Version(core_.base().value() + choice % 4);
  }

  void OnView(bool changed) {
    View view;
    view.set_job(1);
    view.set_view(core_.view().value() + source_->Below(3));
    for (uint32_t shards = 1 + source_->Below(2); shards > 0; --shards) view.add_shards();
    SlotAssignment& slots = *view.add_slots();
    slots.mutable_worker()->set_node_id(source_->Below(8) == 0 ? kSelf + 1 : kSelf);
    slots.set_slot_begin(source_->Below(kSlots));
    slots.set_slot_end(slots.slot_begin() + 1 + source_->Below(kSlots - slots.slot_begin()));
    if (source_->Below(4) == 0) ++restore_id_;
    view.mutable_restore()->set_restore_id(restore_id_);
    *view.mutable_target() = MakeTarget();
    if (changed) MutateField(source_, &view);
    core_.OnView(view);
  }

  Target MakeTarget() {
    Target target;
    target.set_job(1);
    target.set_restore_id(restore_id_);
    target.set_version(core_.base().value() + source_->Below(6));
    target.set_evaluate(static_cast<EvaluationSet>(source_->Below(3)));
    return target;
  }
  void OnTarget() {
    Target target = MakeTarget();
    MutateMessage(source_, &target);
    core_.OnTarget(target);
  }

  void OnVersions() { core_.OnVersions(AView(), source_->Below(4), AVersion()); }

  void Block() {
    if (!writing_.empty() && source_->Flip()) return Store();
    const Write write = {AView(), AVersion(), BlockId(source_->Below(kBlocks + 1))};
    if (core_.OfferBlock(write.view, write.version, write.block) != WorkerCore::Offer::kTake) return;
    SHOAL_CHECK(write.block.value() < kBlocks && write.view == core_.view());
    SHOAL_CHECK(write.version == core_.base() || write.version == core_.base() + 1);
    SHOAL_CHECK(!core_.HasBlock(write.version, write.block));
    // No run reads the buffer, and no other write goes to the same location.
    if (running_.kind != Work::Kind::kNone && running_.version != write.version)
      SHOAL_CHECK(running_.version.value() % 2 != write.version.value() % 2);
    for (const Write& other : writing_) {
      const bool same_place =
          other.version.value() % 2 == write.version.value() % 2 && other.block == write.block;
      SHOAL_CHECK(!same_place);
    }
    writing_.push_back(write);
  }
  void Store() {
    const size_t index = source_->Below(static_cast<uint32_t>(writing_.size()));
    const Write write = writing_[index];
    writing_.erase(writing_.begin() + static_cast<ptrdiff_t>(index));
    core_.BlockStored(write.view, write.version, write.block);
  }
  // Receives all blocks that are missing next, so that sequences make progress.
  void ReceiveVersion() {
    const Version version = core_.PullFrom();
    for (uint32_t block = 0; block < kBlocks; ++block) {
      if (core_.OfferBlock(core_.view(), version, BlockId(block)) == WorkerCore::Offer::kTake)
        core_.BlockStored(core_.view(), version, BlockId(block));
    }
  }

  void Run() {
    if (running_.kind == Work::Kind::kNone) {
      running_ = core_.NextWork();
      next_ = 0;
      return CheckWork();
    }
    const size_t pieces = running_.kind == Work::Kind::kTrain ? running_.units.size() : running_.slots.size();
    if (next_ < pieces && source_->Below(4) != 0) {
      // A run ends soon when it is no longer wanted, and needs all blocks of its version.
      if (!core_.Wanted(running_.ticket) || !IsHere(running_.version)) return;
      if (running_.kind == Work::Kind::kTrain) {
        core_.UnitDone(running_.ticket, running_.units[next_]);
      } else {
        core_.SlotEvaluated(running_.ticket, running_.slots[next_], EvaluationStatistics());
      }
      ++next_;
      return;
    }
    core_.EndWork(running_.ticket);
    running_ = Work();
  }
  bool IsHere(Version version) const {
    for (uint32_t block = 0; block < kBlocks; ++block) {
      if (!core_.HasBlock(version, BlockId(block))) return false;
    }
    return true;
  }
  void CheckWork() const {
    if (running_.kind == Work::Kind::kNone) return;
    SHOAL_CHECK(core_.Wanted(running_.ticket));
    SHOAL_CHECK(running_.version == core_.base() || running_.version == core_.base() + 1);
    for (SlotRange unit : running_.units) {
      SHOAL_CHECK(tree_.IsNode(unit));
      for (uint32_t slot = unit.begin; slot < unit.end; ++slot) SHOAL_CHECK(core_.Assigned(Slot(slot)));
    }
    for (Slot slot : running_.slots) SHOAL_CHECK(slot.value() < kSlots && core_.Assigned(slot));
    SHOAL_CHECK(!running_.units.empty() || !running_.slots.empty());
  }

  struct Write {
    ViewId view;
    Version version;
    BlockId block;
  };

  ByteSource* const source_;
  WorkerCore core_;
  const SlotTree tree_;
  uint64_t restore_id_ = 1;
  bool moved_ = false;
  std::vector<Write> writing_;
  Work running_;
  size_t next_ = 0;  // unit or slot of running_
};

}  // namespace
}  // namespace shoal::worker

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  shoal::ByteSource source(data, size);
  shoal::worker::Session(&source).Play();
  return 0;
}
