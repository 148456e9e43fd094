#include "punch.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "slab.h"

namespace lvmsync {
namespace {

int Punch(const BlockFile& file, PunchMethod method, Extent extent) {
  if (method == PunchMethod::kDiscard) {
    std::array<uint64_t, 2> range{extent.offset, extent.length};
    return ::ioctl(file.fd(), BLKDISCARD, range.data()) == 0 ? 0 : errno;
  }
  const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  while (true) {
    const int result = ::fallocate(file.fd(), mode, static_cast<off_t>(extent.offset),
                                   static_cast<off_t>(extent.length));
    if (result == 0) return 0;
    if (errno != EINTR) return errno;
  }
}

bool IsRefusal(int error) {
  return error == EOPNOTSUPP || error == EINVAL || error == ENOTTY || error == EPERM;
}

void Leave(ExtentList* left, uint64_t start, uint64_t end) {
  if (end <= start) return;
  if (!left->empty() && left->back().offset + left->back().length == start) {
    left->back().length += end - start;
  } else {
    left->push_back({start, end - start});
  }
}

bool IsZeros(std::span<const std::byte> bytes) {
  return bytes.front() == std::byte{0} &&
         std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

Status ReadWhole(const BlockFile& file, std::span<std::byte> into, uint64_t offset) {
  while (!into.empty()) {
    const ssize_t count = ::pread(file.fd(), into.data(), into.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return Status::System(count < 0 ? errno : EIO, "pread", offset);
    into = into.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
  return Status::Ok();
}

constexpr uint64_t kReadSize = 1 << 20;
constexpr uint64_t kPieceSize = 64 << 10;  // what any block of a pool is a multiple of

// A discard of a thin volume that returns 0 may have left blocks as they were: Linux cuts it inside
// of blocks where their size is no power of two, and dm-thin passes over those whose data are being
// read through another volume. Reading what is unmapped costs no I/O.
Status LeaveWhatIsNotZeros(const BlockFile& file, Extent extent, ExtentList* left) {
  const Slab slab = Slab::Allocate(std::min(kReadSize, extent.length));
  if (slab.size() == 0) return Status::System(ENOMEM, "mmap", extent.offset);
  const uint64_t end = extent.offset + extent.length;
  for (uint64_t at = extent.offset; at < end; at += slab.size()) {
    const auto bytes = slab.bytes().first(std::min<uint64_t>(slab.size(), end - at));
    if (Status status = ReadWhole(file, bytes, at); !status.ok()) return status;
    for (uint64_t start = 0; start < bytes.size(); start += kPieceSize) {
      const uint64_t length = std::min<uint64_t>(kPieceSize, bytes.size() - start);
      if (!IsZeros(bytes.subspan(start, length))) Leave(left, at + start, at + start + length);
    }
  }
  return Status::Ok();
}

}  // namespace

Status PunchExtents(const BlockFile& file, const PunchRules& rules, std::span<const Extent> extents,
                    ExtentList* left) {
  const uint64_t granularity = rules.granularity;
  bool refused = false;
  for (const Extent& extent : extents) {
    const uint64_t end = extent.offset + extent.length;
    const uint64_t first = (extent.offset + granularity - 1) / granularity * granularity;
    const uint64_t last = end / granularity * granularity;
    if (refused || last <= first) {
      Leave(left, extent.offset, end);
      continue;
    }
    const int error = Punch(file, rules.method, {first, last - first});
    refused = IsRefusal(error);
    if (error != 0 && !refused) {
      const char* call = rules.method == PunchMethod::kDiscard ? "ioctl(BLKDISCARD)" : "fallocate";
      return Status::System(error, call, first);
    }
    if (refused) {
      Leave(left, extent.offset, end);
    } else {
      Leave(left, extent.offset, first);
      if (rules.method == PunchMethod::kDiscard) {
        const Status status = LeaveWhatIsNotZeros(file, {first, last - first}, left);
        if (!status.ok()) return status;
      }
      Leave(left, last, end);
    }
  }
  return Status::Ok();
}

}  // namespace lvmsync
