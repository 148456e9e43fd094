// Decodes the persistent exception store of a thick snapshot (Linux dm-snapshot, "-cow" device).
//
// The store says which chunks of the origin changed since the snapshot was made. Layout facts are
// those of Linux 6.1 drivers/md/dm-snap-persistent.c; docs/design.md lists them.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/extent.h"
#include "core/base/result.h"
#include "core/store/store_reader.h"

namespace lvmsync {

struct DecodedStore {
  uint32_t chunk_size = 0;  // bytes
  uint64_t exceptions = 0;  // entries in the store
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
