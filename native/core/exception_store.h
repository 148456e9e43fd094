// Decodes the persistent exception store of a thick snapshot (Linux dm-snapshot, "-cow" device).
//
// The store says which chunks of the origin changed since the snapshot was made. Layout facts are
// those of Linux 6.1 drivers/md/dm-snap-persistent.c; docs/design.md lists them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "extent.h"
#include "result.h"

namespace lvmsync {

// Where the decoder gets bytes from: a COW device in production, memory in tests.
class StoreReader {
 public:
  virtual ~StoreReader() = default;
  // Size of the COW store in bytes.
  virtual uint64_t size() const = 0;
  // Reads each extent, whole, one after the other into `into`, whose size is the sum of their
  // lengths (at most 5 MiB) and whose start is aligned to a page. Every extent lies within size(),
  // begins on a multiple of alignment() and ends on one, or at size().
  virtual Status Read(std::span<const Extent> extents, std::span<std::byte> into) = 0;
  // The unit of Read in bytes, a power of two of at most 64 KiB.
  virtual uint32_t alignment() const = 0;
  // The logical block size of the device in bytes: a chunk is a multiple of it.
  virtual uint32_t logical_block() const { return 512; }
};

struct DecodeLimits {
  uint64_t origin_size = 0;  // bytes; extents are clipped to it, whole chunks beyond it are corrupt
  // Areas known to be complete on disk before reading began (from `dmsetup status`): those may be
  // read ahead in parallel. Beyond them an area is trusted only if read after its predecessor was
  // seen to be full, because the kernel zeroes just one area ahead. An upper bound of what is read
  // ahead, not a claim about the list: UINT64_MAX is right for a store that nobody writes to.
  uint64_t areas_known = 0;
  // A read that meets the kernel writing an area may see some sectors new and some old. How often
  // an area that looks so is read again, after a pause of 1, 2, 4 ... 512 ms, before it counts as
  // damaged. 0 is right for a store that nobody writes to.
  uint32_t torn_retries = 0;
};

struct DecodedStore {
  uint32_t chunk_size = 0;  // bytes
  uint64_t exceptions = 0;  // entries in the store
  uint64_t areas = 0;       // areas in the chain, the last one partly filled or empty
  ExtentList extents;       // ascending, disjoint, neighbours merged, clipped to origin_size
};

// Reads only the header. Fault::kCorrupt with a one-line reason where the store is unusable.
struct StoreHeader {
  uint32_t chunk_size = 0;  // bytes
};
Status ReadStoreHeader(StoreReader& reader, StoreHeader* header);

// Decodes the whole store. On any damage (see docs/design.md for the checks) the Status is
// Fault::kCorrupt, its `offset` is the byte in the store, and `decoded` is left empty: never a
// partial list. A chunk outside [0, origin_size) is damage. Needs about 5 MiB of memory, at most 16
// bytes per exception, and the result.
Status DecodeStore(StoreReader& reader, const DecodeLimits& limits, DecodedStore* decoded);

// How many exceptions a store holds whose status line reports `allocated_sectors` in use.
// nullopt if the numbers cannot belong together.
std::optional<uint64_t> ExpectedExceptions(uint64_t allocated_sectors, uint64_t chunk_sectors);

}  // namespace lvmsync
