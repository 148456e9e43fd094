// Where two files or devices hold different bytes.
#pragma once

#include <cstddef>
#include <span>

#include "core/base/extent.h"
#include "core/io/batch.h"

namespace lvmsync {

// Reads the operations of both files, part after part through `scratch`, which is cut in two, and
// sets `different` to the stretches that differ, in the order of the operations. They are cut at
// pages: a page is in it as far as an operation reaches into it, if any byte of that part differs;
// neighbours are one stretch. Slab positions of the operations are ignored. What was found says
// nothing where the Status is not Ok; its `file` is the one that failed. Fault::kCorrupt if an
// operation overflows. `scratch` begins at a page and has at least kLeastScratch bytes.
Status CompareFiles(const Syscalls& syscalls, IoEngine& engine,
                    std::span<const BlockFile* const, 2> files, std::span<std::byte> scratch,
                    std::span<const Operation> operations, ExtentList* different);

constexpr size_t kLeastScratch = size_t{16} * 1024;

}  // namespace lvmsync
