// Makes stretches of a destination read as zeros by giving their space back instead of writing.
#pragma once

#include <span>

#include "core/base/extent.h"
#include "core/base/result.h"
#include "core/io/block_file.h"

namespace lvmsync {

enum class PunchMethod : uint8_t {
  kHole,     // fallocate: a regular file, or a block device that promises zeros
  kDiscard,  // BLKDISCARD of whole blocks of a thin volume: what it unmaps reads as zeros, but it
             // may leave some as they were
};

struct PunchRules {
  PunchMethod method = PunchMethod::kHole;
  // Bytes. Only blocks that lie whole in an extent are given back: dm-thin ignores the rest of a
  // discard without an error.
  uint64_t granularity = 1;
};

// Gives back what it can, in order, and lists in `left` what has to be written as zeros instead:
// ends that are no whole blocks, and everything from the point where the device turns out not to be
// able to. A refusal (EOPNOTSUPP, EINVAL) is not a failure; any other error is one.
Status PunchExtents(const BlockFile& file, const PunchRules& rules, std::span<const Extent> extents,
                    ExtentList* left);

}  // namespace lvmsync
