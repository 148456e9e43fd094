#include "core/stream/control_frame.h"

#include <cstring>

#include "core/base/big_endian.h"
#include "core/stream/crc32c.h"

namespace lvmsync {
namespace {

constexpr size_t kPreludeWords = 3;  // magic, type and version, n
constexpr size_t kCrcWords = 2;
constexpr size_t kExtentSize = 16;  // two u64

void AppendWord(std::vector<std::byte>& raw, uint16_t word) {
  std::array<std::byte, kHeaderSize> header{};
  store_be16(header.data() + 6, word);
  raw.insert(raw.end(), header.begin(), header.end());
}

void AppendBytes(std::vector<std::byte>& out, const void* from, size_t size) {
  const auto* bytes = static_cast<const std::byte*>(from);
  out.insert(out.end(), bytes, bytes + size);
}

void AppendU64(std::vector<std::byte>& out, uint64_t value) {
  value = __builtin_bswap64(value);
  AppendBytes(out, &value, sizeof value);
}

void AppendU32(std::vector<std::byte>& out, uint32_t value) {
  value = __builtin_bswap32(value);
  AppendBytes(out, &value, sizeof value);
}

}  // namespace

std::vector<std::byte> EncodeFrame(uint8_t type, std::span<const std::byte> payload) {
  const size_t words = (payload.size() + 1) / 2;
  std::vector<std::byte> raw;
  raw.reserve((kPreludeWords + words + kCrcWords) * kHeaderSize);
  AppendWord(raw, kFrameMagic);
  AppendWord(raw, static_cast<uint16_t>(type << 8 | kFrameVersion));
  AppendWord(raw, static_cast<uint16_t>(words));
  for (size_t i = 0; i < payload.size(); i += 2) {
    const auto high = std::to_integer<uint16_t>(payload[i]);
    const auto low = i + 1 < payload.size() ? std::to_integer<uint16_t>(payload[i + 1]) : 0;
    AppendWord(raw, static_cast<uint16_t>(high << 8 | low));
  }
  const uint32_t crc = Crc32c(raw);
  AppendWord(raw, static_cast<uint16_t>(crc >> 16));
  AppendWord(raw, static_cast<uint16_t>(crc & 0xffff));
  return raw;
}

FrameParser::Progress FrameParser::Bad(const char* reason) {
  reason_ = reason;
  return Progress::kBad;
}

uint16_t FrameParser::Word(size_t index) const {
  return load_be16(raw_.data() + index * kHeaderSize + 6);
}

FrameParser::Progress FrameParser::Add(std::span<const std::byte> header) {
  if (load_be64(header.data()) > UINT16_MAX) return Bad("a control word is larger than 16 bits");
  raw_.insert(raw_.end(), header.begin(), header.end());
  const size_t words = raw_.size() / kHeaderSize;
  if (words == 1 && Word(0) != kFrameMagic) return Bad("a control frame has a wrong first word");
  if (words < kPreludeWords) return Progress::kMore;
  const size_t payload_words = Word(2);
  if (payload_words > kMaxPayloadWords) return Bad("a control frame is too long");
  const size_t covered = kPreludeWords + payload_words;
  if (words < covered + kCrcWords) return Progress::kMore;

  const uint32_t said = static_cast<uint32_t>(Word(covered)) << 16 | Word(covered + 1);
  if (Crc32c({raw_.data(), covered * kHeaderSize}) != said) {
    return Bad("a control frame has a wrong checksum");
  }
  frame_.type = static_cast<uint8_t>(Word(1) >> 8);
  frame_.version = static_cast<uint8_t>(Word(1) & 0xff);
  frame_.payload.clear();
  for (size_t i = 0; i < payload_words; i++) {
    AppendBytes(frame_.payload, raw_.data() + (kPreludeWords + i) * kHeaderSize + 6, 2);
  }
  raw_.clear();
  return Progress::kWhole;
}

std::vector<std::byte> EncodeDiscard(std::span<const Extent> extents) {
  std::vector<std::byte> payload;
  payload.reserve(extents.size() * kExtentSize);
  for (const Extent& extent : extents) {
    AppendU64(payload, extent.offset);
    AppendU64(payload, extent.length);
  }
  return payload;
}

std::optional<ExtentList> DecodeDiscard(const Frame& frame) {
  const size_t size = frame.payload.size();
  if (frame.type != kDiscard || frame.version != kFrameVersion || size % kExtentSize != 0 ||
      size > kLargestDiscard * kExtentSize) {
    return std::nullopt;
  }
  ExtentList extents;
  for (size_t at = 0; at < size; at += kExtentSize) {
    const std::byte* start = frame.payload.data() + at;
    extents.push_back({load_be64(start), load_be64(start + 8)});
  }
  return extents;
}

std::vector<std::byte> EncodeGroup(const GroupMark& mark) {
  std::vector<std::byte> payload;
  payload.reserve(kGroupPayloadSize);
  AppendBytes(payload, mark.stream_tag.data(), mark.stream_tag.size());
  AppendU64(payload, mark.number);
  AppendU32(payload, mark.records);
  AppendU64(payload, mark.bytes);
  AppendBytes(payload, mark.digest.data(), mark.digest.size());
  AppendU64(payload, mark.durable_group);
  return EncodeFrame(kGroup, payload);
}

std::optional<GroupMark> DecodeGroup(const Frame& frame) {
  if (frame.type != kGroup || frame.version != kFrameVersion ||
      frame.payload.size() != kGroupPayloadSize) {
    return std::nullopt;
  }
  const std::byte* at = frame.payload.data();
  GroupMark mark;
  std::memcpy(mark.stream_tag.data(), at, mark.stream_tag.size());
  mark.number = load_be64(at + 8);
  mark.records = load_be32(at + 16);
  mark.bytes = load_be64(at + 20);
  std::memcpy(mark.digest.data(), at + 28, mark.digest.size());
  mark.durable_group = load_be64(at + 44);
  return mark;
}

}  // namespace lvmsync
