#include "core/stream/mark_scan.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/base/big_endian.h"
#include "core/base/slab.h"

namespace lvmsync {
namespace {

constexpr size_t kWindow = 4 << 20;
// The longest frame looked for: longer ones carry no mark, and checking them at every place where
// one might begin would take long.
constexpr size_t kLongestFrame = 128 * kHeaderSize;

// The frame that begins at bytes[0] and ends within them, if one does.
bool ParseFrameAt(std::span<const std::byte> bytes, Frame* frame) {
  FrameParser parser;
  for (size_t at = 0; at + kHeaderSize <= bytes.size(); at += kHeaderSize) {
    const auto header = bytes.subspan(at, kHeaderSize);
    if (load_be32(header.data() + 8) != 0) return false;
    const FrameParser::Progress progress = parser.Add(header);
    if (progress == FrameParser::Progress::kBad) return false;
    if (progress == FrameParser::Progress::kWhole) {
      *frame = std::move(parser.frame());
      return true;
    }
  }
  return false;
}

void Note(const Frame& frame, const std::array<uint8_t, kStreamTagSize>& tag, MarkScan* scan) {
  if (frame.payload.size() < tag.size() ||
      std::memcmp(frame.payload.data(), tag.data(), tag.size()) != 0) {
    return;
  }
  if (frame.type == kEnd) scan->end_seen = true;
  const std::optional<GroupMark> mark = DecodeGroup(frame);
  if (!mark || mark->durable_group == GroupMark::kNoneDurable) return;
  scan->highest_durable = scan->highest_durable == GroupMark::kNoneDurable
                              ? mark->durable_group
                              : std::max(scan->highest_durable, mark->durable_group);
}

// Looks at every position before `limit` where a frame may begin.
void ScanWindow(std::span<const std::byte> bytes, size_t limit,
                const std::array<uint8_t, kStreamTagSize>& tag, MarkScan* scan) {
  constexpr std::array<uint8_t, kHeaderSize> kFirstWord{
      0, 0, 0, 0, 0, 0, kFrameMagic >> 8, kFrameMagic & 0xff};
  const auto* at = reinterpret_cast<const uint8_t*>(bytes.data());
  const uint8_t* end = at + bytes.size();
  while (true) {
    at = std::search(at, end, kFirstWord.begin(), kFirstWord.end());
    const auto position = static_cast<size_t>(at - reinterpret_cast<const uint8_t*>(bytes.data()));
    if (at == end || position >= limit) return;
    Frame frame;
    const size_t length = std::min(kLongestFrame, bytes.size() - position);
    if (ParseFrameAt(bytes.subspan(position, length), &frame)) Note(frame, tag, scan);
    at++;
  }
}

}  // namespace

Status ScanMarks(const Syscalls& syscalls, int fd, uint64_t offset,
                 const std::array<uint8_t, kStreamTagSize>& tag, MarkScan* scan) {
  const Slab window = Slab::Allocate(kWindow + kLongestFrame);
  if (window.size() == 0) return Status::System(ENOMEM, "mmap", offset);
  while (true) {
    size_t filled = 0;
    while (filled < window.size()) {
      const ssize_t count =
          syscalls.Pread(fd, window.data() + filled, window.size() - filled, offset + filled);
      if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (count < 0) return Status::System(errno, "pread", offset + filled);
      if (count == 0) break;
      filled += static_cast<size_t>(count);
    }
    const bool last = filled < window.size();
    ScanWindow(window.bytes().first(filled), last ? filled : kWindow, tag, scan);
    if (last) return Status::Ok();
    offset += kWindow;
  }
}

}  // namespace lvmsync
