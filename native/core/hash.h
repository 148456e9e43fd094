// XXH3-128: the group hash of a change stream, computed where the bytes already pass, and the hash
// of a single block.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace lvmsync {

// 128 bits in canonical (big endian) order.
using Digest = std::array<uint8_t, 16>;
using StreamId = std::array<uint8_t, 16>;

// Hashes the groups of one stream. A group's digest is over the stream id, the group's number
// (u64 BE, counted from 0) and the group's raw record bytes; the total is over all group digests.
// It is a checksum, not an authentication.
class GroupHasher {
 public:
  explicit GroupHasher(const StreamId& stream_id);
  ~GroupHasher();
  GroupHasher(const GroupHasher&) = delete;
  GroupHasher& operator=(const GroupHasher&) = delete;

  void Update(std::span<const std::byte> bytes);
  // Ends the group and begins the next one.
  Digest EndGroup();
  Digest Total() const;
  uint64_t group_number() const { return number_; }
  const StreamId& stream_id() const { return stream_id_; }

 private:
  struct State;
  void Begin();
  StreamId stream_id_;
  uint64_t number_ = 0;
  std::unique_ptr<State> group_;
  std::unique_ptr<State> total_;
};

// Of one stretch of bytes, by itself.
Digest HashOf(std::span<const std::byte> bytes);

}  // namespace lvmsync
