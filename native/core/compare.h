// Where the bytes of two slabs differ that were read from the same places of two devices.
#pragma once

#include <cstddef>
#include <span>

#include "batch.h"
#include "extent.h"
#include "result.h"

namespace lvmsync {

// Sets `different` to the stretches of the operations that differ, in their order, cut at the pages
// of the device: a page is in it as far as an operation reaches into it, if any byte of that part
// differs. Neighbours are one stretch. Fault::kCorrupt if an operation lies outside a slab or
// overflows.
Status FindDifferences(std::span<const std::byte> a, std::span<const std::byte> b,
                       std::span<const Operation> operations, ExtentList* different);

}  // namespace lvmsync
