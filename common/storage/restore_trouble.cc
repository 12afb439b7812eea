#include "common/storage/restore_trouble.h"

#include "common/storage/checkpoint.h"

namespace shoal {

RestoreTrouble RestoreTroubleOf(const absl::Status& status) {
  if (IsCheckpointDamage(status)) return RESTORE_TROUBLE_DAMAGED;
  if (IsStorageTrouble(status)) return RESTORE_TROUBLE_STORAGE;
  return IsUnreadable(status) ? RESTORE_TROUBLE_UNREADABLE : RESTORE_TROUBLE_NONE;
}

}  // namespace shoal
