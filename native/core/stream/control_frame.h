// Control frames: messages inside a change stream, made of zero-length records that any reader of
// `lvmsync PROTO[3]` passes over. docs/format.md is the specification.
//
// A control word is a record with length 0 whose offset carries 16 bits. A frame is the words
// 0x4C56, type << 8 | version, n, n payload words, and the CRC-32C of all their raw bytes as 2
// words.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/base/extent.h"
#include "core/base/hash.h"

namespace lvmsync {

constexpr size_t kHeaderSize = 12;  // of a record: u64 BE offset, u32 BE length
constexpr uint16_t kFrameMagic = 0x4C56;
constexpr uint8_t kFrameVersion = 1;
constexpr size_t kMaxPayloadWords = 4096;

// The limits of a framed stream.
constexpr uint64_t kLargestFramedRecord = 1 << 20;  // bytes of payload
constexpr uint32_t kLargestGroupRecords = 1024;
constexpr uint64_t kLargestGroupBytes = 4 << 20;  // of payload

enum FrameType : uint8_t { kHello = 1, kGroup = 2, kEnd = 3, kAbort = 4, kDiscard = 5 };

struct Frame {
  uint8_t type = 0;
  uint8_t version = 0;
  std::vector<std::byte> payload;  // always an even number of bytes
};

// The raw bytes of a frame. An odd payload is padded with one zero byte.
std::vector<std::byte> EncodeFrame(uint8_t type, std::span<const std::byte> payload);

// Collects control words until a frame is whole.
class FrameParser {
 public:
  enum class Progress : uint8_t { kMore, kWhole, kBad };
  // `header` is the raw 12 bytes of a zero-length record. After kWhole, frame() is valid until the
  // next Add; after kBad, reason() says why, and the parser must not be fed again.
  Progress Add(std::span<const std::byte> header);
  bool in_frame() const { return !raw_.empty(); }
  Frame& frame() { return frame_; }
  const char* reason() const { return reason_; }

 private:
  Progress Bad(const char* reason);
  uint16_t Word(size_t index) const;
  std::vector<std::byte> raw_;
  Frame frame_;
  const char* reason_ = "";
};

// The content of a DISCARD frame: each extent is to read as zeros. It belongs to the group that the
// next GROUP frame closes, whose hash covers its payload. At most kLargestDiscard extents,
// ascending.
constexpr size_t kLargestDiscard = 256;
std::vector<std::byte> EncodeDiscard(std::span<const Extent> extents);
std::optional<ExtentList> DecodeDiscard(const Frame& frame);

// The content of a GROUP frame: a summary of the records before it.
struct GroupMark {
  // No group is known to be durable.
  static constexpr uint64_t kNoneDurable = UINT64_MAX;
  std::array<uint8_t, 8> stream_tag{};  // the first half of the stream id
  uint64_t number = 0;                  // counted from 0
  uint32_t records = 0;
  uint64_t bytes = 0;  // of payload
  Digest digest{};
  uint64_t durable_group = kNoneDurable;  // last group known durable when this one was appended
};

constexpr size_t kGroupPayloadSize = 52;
constexpr size_t kStreamTagSize = 8;

std::vector<std::byte> EncodeGroup(const GroupMark& mark);
std::optional<GroupMark> DecodeGroup(const Frame& frame);

}  // namespace lvmsync
