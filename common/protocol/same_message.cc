#include "common/protocol/same_message.h"

#include "google/protobuf/util/field_comparator.h"
#include "google/protobuf/util/message_differencer.h"

namespace shoal {

bool SameMessage(const google::protobuf::Message& a, const google::protobuf::Message& b, int ignored) {
  google::protobuf::util::DefaultFieldComparator comparator;
  comparator.set_treat_nan_as_equal(true);
  google::protobuf::util::MessageDifferencer differencer;
  differencer.set_field_comparator(&comparator);
  if (ignored != 0) differencer.IgnoreField(a.GetDescriptor()->FindFieldByNumber(ignored));
  return differencer.Compare(a, b);
}

}  // namespace shoal
