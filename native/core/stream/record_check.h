// Which records, discards and groups a stream may hold.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/extent.h"
#include "core/stream/control_frame.h"
#include "core/stream/extent_set.h"
#include "core/stream/group_hasher.h"

namespace lvmsync {

constexpr uint64_t kLargestClassicRecord = 1 << 30;  // bytes: dm's largest chunk
constexpr uint64_t kLargestOffset = uint64_t{1} << 53;

// The reader's demands on the records it is about to see.
struct FramedRules {
  StreamId stream_id{};
  uint64_t device_size = 0;  // as HELLO says; no record may reach past it
  bool sorted = false;       // HELLO promises ascending offsets
  bool discards = false;     // DISCARD frames may come: this side said that it knows them
};

struct ClassicRules {
  uint64_t device_size = 0;  // of the destination; what lies past it is dropped and counted
  // Refuse what the original's sender cannot have meant: lengths that vary except in the last
  // record, offsets that are not a multiple of the length, a place named twice. Off for a stream
  // with overridden checks.
  bool strict = true;
  // Pass over zero-length records, which an old receiver copied into its snapback.
  bool skip_control = false;
};

// Looks at the records of a framed stream, in their order. Is over with the first fault: nothing of
// the stream is to be shown to it after that.
class FramedCheck {
 public:
  FramedCheck() = default;
  explicit FramedCheck(const FramedRules& rules) : rules_(rules) {}

  // Null, or what is wrong with the next record (static storage). The group that it belongs to
  // holds `records` and `bytes` of payload before it.
  const char* NextRecord(const Extent& record, uint64_t records, uint64_t bytes);
  // Whether the next discard may come. Discards are in order among themselves.
  bool NextDiscard(const Extent& discard);

 private:
  FramedRules rules_;
  ExtentSet seen_;
  uint64_t last_end_ = 0;
  uint64_t last_discard_end_ = 0;
};

// The same of a classic stream. The original's sender gives every record the chunk size as its
// length, and each offset once. Only the last record may be shorter, clipped at the end of its
// source: whether it was the last shows when the next one is refused, in the same batch.
class ClassicCheck {
 public:
  ClassicCheck() = default;
  explicit ClassicCheck(const ClassicRules& rules) : rules_(rules) {}

  const char* NextRecord(const Extent& record);

 private:
  ClassicRules rules_;
  ExtentSet seen_;
  uint64_t first_length_ = 0;
  bool ended_ = false;  // a record was seen that only the last one can be
};

// Empty, or why the mark of a group is not the one that its records call for. `wanted` has what was
// counted and hashed; its durable_group is not looked at.
std::string FaultOfGroup(const GroupMark& mark, const GroupMark& wanted);

}  // namespace lvmsync
