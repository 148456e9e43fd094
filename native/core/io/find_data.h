// Where a file or device holds anything but zeros.
#pragma once

#include <cstdint>
#include <span>

#include "core/base/extent.h"
#include "core/io/batch.h"

namespace lvmsync {

// Looks at the extents in units: their parts between multiples of `unit` bytes (0: each extent is
// one unit). Those that hold a byte other than zero, in order, neighbours as one. No more of a unit
// than it takes to tell is read, in steps of `slab`, of 64 KiB at least.
Status FindData(const Syscalls& syscalls, IoEngine& engine, const BlockFile& file,
                std::span<std::byte> slab, std::span<const Extent> extents, uint64_t unit,
                ExtentList* data);

}  // namespace lvmsync
