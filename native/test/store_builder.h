// Makes exception stores in the way of the kernel, and images for tests from them.
#pragma once

#include <cstdint>
#include <functional>
#include <random>
#include <span>
#include <vector>

#include "core/store/exception_store.h"
#include "core/store/store_geometry.h"
#include "memory_store.h"

namespace lvmsync {

// What Linux 6.1 dm-snapshot does to a COW device: allocates chunks, and writes the header and
// areas.
class StoreBuilder {
 public:
  using Write = std::function<void(uint64_t offset, std::span<const std::byte> bytes)>;

  // Makes a new store: writes a header and zeroes the first area.
  StoreBuilder(uint64_t chunk_size, Write write);

  // Takes the chunk of the store that the next exception shall use.
  uint64_t Prepare();
  // Adds an entry to the current area in memory. A full area is written, after the next was zeroed.
  void Commit(uint64_t old_chunk, uint64_t new_chunk);
  // Writes the current area as it is.
  void Flush();
  // What deactivation (or a crash) and activation do: what was prepared and not committed is lost.
  void Reactivate();

  uint64_t next_free() const { return next_free_; }
  uint64_t areas() const { return current_area_ + 1; }
  uint64_t exceptions() const { return current_area_ * entries_per_area_ + committed_; }

 private:
  void SkipArea();
  void ZeroArea(uint64_t area);
  uint64_t AreaOffset(uint64_t area) const;

  uint64_t chunk_size_;
  uint64_t entries_per_area_;
  Write write_;
  std::vector<std::byte> area_;  // the memory image of the current area
  uint64_t current_area_ = 0;
  uint64_t committed_ = 0;  // entries of the current area
  uint64_t next_free_ = kHeaderChunks + 1;
  uint64_t highest_committed_ = 0;
};

// Chunks that a store of that many exceptions needs at least.
uint64_t ChunksNeeded(uint64_t chunk_size, uint64_t exceptions);

// A store and what it says.
struct Image {
  MemoryStore store;
  StoreGeometry geometry;
  uint64_t origin_size = 0;
  uint64_t areas = 0;
  uint64_t next_free = 0;            // chunks that `dmsetup status` reports as allocated
  bool has_holes = false;            // chunks of the store that no entry names
  std::vector<uint64_t> old_chunks;  // in the order of the entries

  uint64_t EntryOffset(uint64_t index) const;
  void SetEntry(uint64_t index, uint64_t old_chunk, uint64_t new_chunk);
};

enum class Layout : uint8_t {
  kInOrder,     // as today's kernels write
  kCompletion,  // as old kernels wrote: in the order of completion, and reactivated after a crash
};

struct ImageSpec {
  uint64_t chunk_size = 4096;  // bytes
  uint64_t exceptions = 0;
  uint64_t origin_chunks = 0;     // at least one per exception
  uint64_t origin_shortfall = 0;  // bytes that the last chunk of the origin lacks
  uint64_t spare_chunks = 0;      // of the store, behind those in use
  Layout layout = Layout::kInOrder;
};

Image MakeImage(const ImageSpec& spec, std::mt19937_64& random);

// Different numbers below `limit`, now scattered, now in runs; among them often 0 and limit - 1.
std::vector<uint64_t> MakeOldChunks(uint64_t count, uint64_t limit, std::mt19937_64& random);

// The plain way from chunks to extents.
ExtentList ExtentsOf(std::vector<uint64_t> old_chunks, uint64_t chunk_size, uint64_t origin_size);

// A number of [0, bound).
uint64_t Below(std::mt19937_64& random, uint64_t bound);

}  // namespace lvmsync
