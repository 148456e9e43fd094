// Which blocks of a thin pool a batch of writes fills only in part.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/extent.h"
#include "core/io/batch.h"

namespace lvmsync {

// A part of a device that lies in blocks of a pool which hold anything when they are first written.
struct PoolStretch {
  uint64_t start = 0;  // bytes of the device: the stretch is [start, end)
  uint64_t end = 0;
  uint64_t block_size = 1;  // bytes
  uint64_t shift = 0;       // bytes: where byte 0 of the device is on the thin volume
  // Bytes of the device: what is before comes from an external origin.
  uint64_t bare_from = 0;
};

// The blocks, cut to what is bare in the stretch, that the operations touch and do not cover whole,
// in ascending order.
ExtentList PartlyCovered(std::span<const Operation> operations, const PoolStretch& stretch);

}  // namespace lvmsync
