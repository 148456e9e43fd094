#include "core/io/punch.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <cerrno>

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
    Leave(left, extent.offset, refused ? end : first);
    if (!refused) Leave(left, last, end);
  }
  return Status::Ok();
}

}  // namespace lvmsync
