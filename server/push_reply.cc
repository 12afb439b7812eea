#include "server/push_reply.h"

#include <string>

namespace shoal::server {

std::optional<PushReply> ReplyTo(const ContributionHeader& header, const absl::Status& status) {
  if (!absl::IsDataLoss(status)) return std::nullopt;
  PushReply reply;
  reply.set_block(header.block());
  reply.set_round(header.round());
  reply.set_slot_begin(header.slot_begin());
  reply.set_slot_end(header.slot_end());
  reply.set_error(std::string(status.message()));
  return reply;
}

}  // namespace shoal::server
