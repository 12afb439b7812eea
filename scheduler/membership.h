// The nodes of the cluster: leases, sessions, names.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/types.h"
#include "proto/scheduler.pb.h"
#include "scheduler/actions.h"
#include "scheduler/options.h"

namespace shoal::scheduler {

struct Member {
  NodeId id;
  std::string name;  // unique among living nodes
  JoinRequest join;
  bool connected = false;  // has a session
  bool opened = false;     // has ever had one
  bool leaving = false;
  absl::Time last_seen;
  absl::Time expires;  // the lease

  bool is_server() const { return join.role() == NODE_ROLE_SERVER; }
  bool is_worker() const { return join.role() == NODE_ROLE_WORKER; }
  NodeRef ref() const;
};

// Pure; not thread-safe. Saves nodes to, and erases them from, the table "node".
class Membership {
 public:
  explicit Membership(const SchedulerOptions& options) : options_(options) {}

  // Loads a node from the store, with a fresh lease and no session.
  void Load(absl::Time now, const NodeRecord& record);

  // Errors: as SchedulerCore::Join.
  absl::StatusOr<Member*> Join(absl::Time now, NodeId id, const JoinRequest& request, Outbox* out);
  // The member that this process has already joined as; null: none, or it does not say which process it is.
  Member* FindProcess(const JoinRequest& request);
  void SessionOpened(absl::Time now, Member* member);
  void SessionBroken(absl::Time now, Member* member);
  // The scheduler ended the session: the node has until its lease ends to open another.
  void SessionEnded(Member* member) { member->connected = false; }
  void Seen(absl::Time now, Member* member);
  // The node will end by itself: it gets no more work, and a restarted scheduler does not wait for it.
  void Leaving(Member* member, Outbox* out);
  // The scheduler itself was suspended for `asleep`, until `now`. It could not hear the nodes, so that time
  // does not count as silence, and streams that broke meanwhile have the length of a lease to come back.
  void Awake(absl::Time now, absl::Duration asleep);

  // Returns null if there is no such node or its lease has ended.
  Member* Find(NodeId id);
  const Member* Find(NodeId id) const;
  std::vector<NodeId> Expired(absl::Time now) const;
  void Remove(NodeId id, Outbox* out);

  const std::map<NodeId, Member>& all() const { return members_; }

 private:
  const Member* FindName(const std::string& name) const;
  std::string MakeName(const JoinRequest& request, NodeId id) const;

  const SchedulerOptions& options_;
  std::map<NodeId, Member> members_;
  absl::Time lenient_until_ = absl::InfinitePast();  // broken sessions have at least until then
};

}  // namespace shoal::scheduler
