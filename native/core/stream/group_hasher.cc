#include "core/stream/group_hasher.h"

#include "core/base/big_endian.h"

namespace lvmsync {

GroupHasher::GroupHasher(const StreamId& stream_id) : stream_id_(stream_id) { Begin(); }

void GroupHasher::Begin() {
  std::array<std::byte, 8> number;
  store_be64(number.data(), number_);
  group_.Reset();
  group_.Update(std::as_bytes(std::span(stream_id_)));
  group_.Update(number);
}

Digest GroupHasher::EndGroup() {
  const Digest digest = group_.Finish();
  total_.Update(std::as_bytes(std::span(digest)));
  number_++;
  Begin();
  return digest;
}

}  // namespace lvmsync
