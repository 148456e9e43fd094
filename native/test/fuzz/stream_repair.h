// Makes a damaged change stream consistent again: right checksums, hashes and counts. A fuzzer that
// changes bytes would otherwise never come past the first frame.
#pragma once

#include <algorithm>
#include <cstring>
#include <optional>

#include "record_streams.h"

namespace lvmsync::testing {

class StreamRepair {
 public:
  // `stream` begins with its first line. What cannot be understood is kept as it is.
  static Bytes Repaired(std::span<const std::byte> stream) {
    StreamRepair repair(stream);
    repair.Run();
    return std::move(repair.output_);
  }

 private:
  explicit StreamRepair(std::span<const std::byte> stream) : rest_(stream) {}

  void Run() {
    const auto end = std::find(rest_.begin(), rest_.end(), std::byte{'\n'});
    Keep(static_cast<size_t>(end - rest_.begin()) + (end == rest_.end() ? 0 : 1));
    while (rest_.size() >= kHeaderSize && Record()) {
    }
    Keep(rest_.size());
  }

  void Keep(size_t count) {
    output_.insert(output_.end(), rest_.begin(), rest_.begin() + static_cast<ptrdiff_t>(count));
    rest_ = rest_.subspan(count);
  }

  bool Record() {
    const uint32_t length = load_be32(rest_.data() + 8);
    if (length == 0) return Control();
    if (length > rest_.size() - kHeaderSize) return false;
    const auto raw = rest_.first(kHeaderSize + length);
    if (hasher_) hasher_->Update(raw);
    records_++;
    bytes_ += length;
    Keep(raw.size());
    return true;
  }

  uint16_t Word(size_t index) const {
    return static_cast<uint16_t>(load_be64(rest_.data() + index * kHeaderSize));
  }

  // A frame as far as its own count of words says; its checksum need not be right.
  bool Control() {
    constexpr size_t kWordsAround = 5;  // magic, type, count; checksum
    const size_t words = rest_.size() / kHeaderSize;
    if (words < kWordsAround) return false;
    const size_t payload_words = Word(2);
    if (payload_words > kMaxPayloadWords || payload_words > words - kWordsAround) return false;
    Bytes payload(payload_words * 2);
    for (size_t i = 0; i < payload_words; i++) store_be16(payload.data() + 2 * i, Word(3 + i));
    Emit(static_cast<uint8_t>(Word(1) >> 8), std::move(payload));
    rest_ = rest_.subspan((payload_words + kWordsAround) * kHeaderSize);
    return true;
  }

  void Emit(uint8_t type, Bytes payload) {
    if (type == kHello && payload.size() >= kHelloSize && !hasher_) {
      StreamId id;
      std::memcpy(id.data(), payload.data() + 4, id.size());
      hasher_.emplace(id);
    }
    if (type == kDiscard && hasher_) hasher_->Update(payload);
    if (type == kGroup && hasher_) payload = Mark(std::move(payload));
    const Bytes frame = EncodeFrame(type, payload);
    output_.insert(output_.end(), frame.begin(), frame.end());
  }

  // What it says of durable groups stays.
  Bytes Mark(Bytes payload) {
    GroupMark mark{.number = hasher_->group_number(), .records = records_, .bytes = bytes_};
    const auto old = DecodeGroup({.type = kGroup, .version = kFrameVersion, .payload = payload});
    if (old) mark.durable_group = old->durable_group;
    std::memcpy(mark.stream_tag.data(), hasher_->stream_id().data(), mark.stream_tag.size());
    mark.digest = hasher_->EndGroup();
    records_ = 0;
    bytes_ = 0;
    FrameParser parser;
    const Bytes frame = EncodeGroup(mark);
    for (size_t at = 0; at < frame.size(); at += kHeaderSize) {
      (void)parser.Add(std::span(frame).subspan(at, kHeaderSize));
    }
    return std::move(parser.frame().payload);
  }

  std::span<const std::byte> rest_;
  Bytes output_;
  std::optional<GroupHasher> hasher_;
  uint32_t records_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace lvmsync::testing
