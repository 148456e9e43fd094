// Where things lie in an exception store: a header chunk, then areas, each followed by the data
// chunks that its entries name.
#pragma once

#include <cstdint>

namespace lvmsync {

inline constexpr uint64_t kSectorBytes = 512;
inline constexpr uint64_t kHeaderChunks = 1;
inline constexpr uint64_t kEntryBytes = 16;

// Larger chunks are refused by the kernel, whose sector arithmetic is that of a signed int.
inline constexpr uint64_t kMaxChunkSectors = uint64_t{1} << 21;

struct StoreGeometry {
  uint64_t chunk_size = 0;  // bytes, a power of two
  uint64_t size = 0;        // of the store, bytes

  uint64_t chunks() const { return size / chunk_size; }
  uint64_t entries_per_area() const { return chunk_size / kEntryBytes; }
  // From one area to the next, in chunks.
  uint64_t stride() const { return entries_per_area() + 1; }
  // Areas that lie whole inside the store.
  uint64_t areas() const {
    return chunks() <= kHeaderChunks ? 0 : (chunks() - kHeaderChunks - 1) / stride() + 1;
  }
  // For area < areas() nothing here overflows.
  uint64_t area_chunk(uint64_t area) const { return kHeaderChunks + area * stride(); }
  uint64_t area_offset(uint64_t area) const { return area_chunk(area) * chunk_size; }
};

}  // namespace lvmsync
