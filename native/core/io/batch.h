// One native call: a list of operations between a file and a slab.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/hash.h"
#include "core/base/result.h"
#include "core/io/block_file.h"
#include "core/io/io_engine.h"

namespace lvmsync {

// Large enough for full speed on any device, small enough that several are in flight. Bytes.
constexpr size_t kLargestRequest = size_t{512} * 1024;

// Bytes [offset, offset + length) of a file belong at [slab_position, slab_position + length).
// Where slab_position is congruent to offset modulo 4096 nothing is copied; else a bounce is used.
struct Operation {
  uint64_t offset = 0;
  uint64_t length = 0;
  uint64_t slab_position = 0;
  bool operator==(const Operation&) const = default;
};

// Reads or writes all operations, whole, in no particular order. Ranges that O_DIRECT cannot
// address (unaligned heads and tails) are read through an aligned buffer, and written by reading,
// patching and writing the aligned block around them (block device) or through the page cache
// (regular file). A failed transfer is tried once more in small pieces, so that Status.offset is
// the block that fails. Fault::kCorrupt if an operation lies outside the slab or overflows.
Status RunBatch(const Syscalls& syscalls, IoEngine& engine, const BlockFile& file,
                Direction direction, std::span<std::byte> slab,
                std::span<const Operation> operations);

// Reads the same operations of two files at once, each into a slab of its own, as RunBatch does.
// Status.file is the one that failed.
Status ReadBoth(const Syscalls& syscalls, IoEngine& engine,
                std::span<const BlockFile* const, 2> files,
                std::span<const std::span<std::byte>, 2> slabs,
                std::span<const Operation> operations);

// Reads all operations into the slab, as RunBatch does, and puts the hash of each into `digests`,
// which has room for as many. Neither says anything where the Status is not Ok.
Status HashBatch(const Syscalls& syscalls, IoEngine& engine, const BlockFile& file,
                 std::span<std::byte> slab, std::span<const Operation> operations,
                 std::span<Digest> digests);

}  // namespace lvmsync
