// Looks through the rest of a damaged snapback for marks that prove what had become durable.
#pragma once

#include <array>
#include <cstdint>

#include "core/base/result.h"
#include "core/base/syscalls.h"
#include "core/stream/control_frame.h"

namespace lvmsync {

struct MarkScan {
  // The END of this stream was found.
  bool end_seen = false;
  // The last group that a valid GROUP of this stream calls durable; kNoneDurable: none of them
  // does.
  uint64_t highest_durable = GroupMark::kNoneDurable;
};

// Reads `fd` from `offset` to its end and finds the GROUP and END frames of the stream `tag`, at
// any position. The descriptor's own position is neither used nor moved.
Status ScanMarks(const Syscalls& syscalls, int fd, uint64_t offset,
                 const std::array<uint8_t, kStreamTagSize>& tag, MarkScan* scan);

}  // namespace lvmsync
