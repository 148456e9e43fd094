// The hashes of a change stream.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/hash.h"

namespace lvmsync {

using StreamId = std::array<uint8_t, 16>;

// Hashes the groups of one stream. A group's digest is over the stream id, the group's number
// (u64 BE, counted from 0) and the group's raw record bytes; the total is over all group digests.
class GroupHasher {
 public:
  explicit GroupHasher(const StreamId& stream_id);

  void Update(std::span<const std::byte> bytes) { group_.Update(bytes); }
  // Ends the group and begins the next one.
  Digest EndGroup();
  Digest Total() const { return total_.Finish(); }
  uint64_t group_number() const { return number_; }
  const StreamId& stream_id() const { return stream_id_; }

 private:
  void Begin();

  StreamId stream_id_;
  uint64_t number_ = 0;
  Hasher group_;
  Hasher total_;
};

}  // namespace lvmsync
