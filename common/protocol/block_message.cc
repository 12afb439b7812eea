#include "common/protocol/block_message.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/protocol/blocks.h"
#include "common/protocol/piece_map.h"
#include "google/protobuf/io/coded_stream.h"

namespace shoal {
namespace {

// The map of the pieces of the largest block fits a header, beside all else.
static_assert(kMaxBlockElements / PieceMap::kPiece / 8 <= kMaxBlockHeaderBytes / 2);

// Tags of length-delimited fields (protobuf encoding: field number << 3 | 2).
constexpr uint8_t kHeaderTag = 1 << 3 | 2;
constexpr uint8_t kPayloadTag = 2 << 3 | 2;
// A varint of 64 bits.
constexpr int kMaxVarintBytes = 10;

using google::protobuf::io::CodedOutputStream;

absl::Status Malformed(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("malformed block message: ", what));
}

// Takes bytes from the front of a list of slices.
class SliceCursor {
 public:
  explicit SliceCursor(std::vector<grpc::Slice> slices) : slices_(std::move(slices)) {
    for (const grpc::Slice& slice : slices_) left_ += slice.size();
  }

  uint64_t left() const { return left_; }

  // Appends the next `bytes` bytes to `out`; false, without effect, when there are fewer.
  bool Take(uint64_t bytes, std::string* out) {
    if (bytes > left_) return false;
    left_ -= bytes;
    while (bytes > 0) {
      const grpc::Slice& slice = slices_[index_];
      const uint64_t part = std::min<uint64_t>(bytes, slice.size() - used_);
      out->append(reinterpret_cast<const char*>(slice.begin()) + used_, part);
      bytes -= part;
      used_ += part;
      if (used_ == slice.size()) NextSlice();
    }
    return true;
  }

  // The next byte, or -1 at the end.
  int TakeByte() {
    std::string byte;
    return Take(1, &byte) ? static_cast<uint8_t>(byte[0]) : -1;
  }

  // The rest, by reference.
  Payload TakeRest() {
    std::vector<grpc::Slice> rest;
    if (left_ > 0 && used_ > 0) {
      rest.push_back(slices_[index_].sub(used_, slices_[index_].size()));
      ++index_;
    }
    for (; index_ < slices_.size(); ++index_) {
      if (slices_[index_].size() > 0) rest.push_back(std::move(slices_[index_]));
    }
    left_ = 0;
    return Payload(std::move(rest));
  }

 private:
  void NextSlice() {
    ++index_;
    used_ = 0;
  }

  std::vector<grpc::Slice> slices_;
  size_t index_ = 0;
  uint64_t used_ = 0;  // bytes of the slice at index_
  uint64_t left_ = 0;
};

absl::StatusOr<uint64_t> TakeVarint(SliceCursor* cursor) {
  uint64_t value = 0;
  for (int i = 0; i < kMaxVarintBytes; ++i) {
    const int byte = cursor->TakeByte();
    if (byte < 0) return Malformed("it ends inside a length");
    value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if ((byte & 0x80) == 0) return value;
  }
  return Malformed("a length of more than 64 bits");
}

absl::Status TakeHeader(SliceCursor* cursor, google::protobuf::MessageLite* header) {
  if (cursor->TakeByte() != kHeaderTag) return Malformed("it does not start with the header");
  SHOAL_ASSIGN_OR_RETURN(const uint64_t bytes, TakeVarint(cursor));
  if (bytes >= kMaxBlockHeaderBytes) return Malformed(absl::StrCat("a header of ", bytes, " bytes"));
  std::string encoded;
  if (!cursor->Take(bytes, &encoded)) return Malformed("it ends inside the header");
  if (!header->ParseFromString(encoded)) return Malformed("the header can't be parsed");
  return absl::OkStatus();
}

absl::StatusOr<Payload> TakePayload(SliceCursor* cursor) {
  if (cursor->left() == 0) return Payload();  // protobuf leaves out an empty field
  if (cursor->TakeByte() != kPayloadTag) return Malformed("no payload after the header");
  SHOAL_ASSIGN_OR_RETURN(const uint64_t bytes, TakeVarint(cursor));
  if (bytes != cursor->left()) {
    return Malformed(absl::StrCat("a payload of ", bytes, " bytes, but ", cursor->left(), " bytes remain"));
  }
  return cursor->TakeRest();
}

template <typename Message>
absl::StatusOr<Message> Parse(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Valid() || !buffer.Dump(&slices).ok()) return Malformed("it can't be read");
  SliceCursor cursor(std::move(slices));
  Message message;
  SHOAL_RETURN_IF_ERROR(TakeHeader(&cursor, &message.header));
  SHOAL_ASSIGN_OR_RETURN(message.payload, TakePayload(&cursor));
  return message;
}

}  // namespace

grpc::ByteBuffer EncodeBlockMessage(const google::protobuf::MessageLite& header, const Payload& payload) {
  const size_t header_bytes = header.ByteSizeLong();
  SHOAL_CHECK(header_bytes < kMaxBlockHeaderBytes);
  uint8_t front[kMaxBlockHeaderBytes + 2 + size_t{2} * kMaxVarintBytes];
  uint8_t* end = front;
  *end++ = kHeaderTag;
  end = CodedOutputStream::WriteVarint64ToArray(header_bytes, end);
  end = header.SerializeWithCachedSizesToArray(end);
  std::vector<grpc::Slice> slices;
  slices.reserve(payload.slices().size() + 1);
  if (!payload.empty()) {
    *end++ = kPayloadTag;
    end = CodedOutputStream::WriteVarint64ToArray(payload.size(), end);
  }
  slices.emplace_back(front, end - front);
  slices.insert(slices.end(), payload.slices().begin(), payload.slices().end());
  return grpc::ByteBuffer(slices.data(), slices.size());
}

absl::StatusOr<ContributionMessage> ParseContribution(const grpc::ByteBuffer& buffer) {
  return Parse<ContributionMessage>(buffer);
}

absl::StatusOr<PublishedMessage> ParsePublishedBlock(const grpc::ByteBuffer& buffer) {
  return Parse<PublishedMessage>(buffer);
}

absl::StatusOr<PullRequest> ParsePullRequest(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Valid() || !buffer.Dump(&slices).ok())
    return absl::InvalidArgumentError("the request can't be read");
  SliceCursor cursor(std::move(slices));
  std::string bytes;
  PullRequest request;
  if (!cursor.Take(cursor.left(), &bytes) || !request.ParseFromString(bytes))
    return absl::InvalidArgumentError("expected a PullRequest");
  return request;
}

}  // namespace shoal
