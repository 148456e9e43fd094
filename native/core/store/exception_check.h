// The rules for an entry of an exception store. The kernel checks none of this.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/store/chunk_set.h"
#include "core/store/exception_walk.h"
#include "core/store/store_geometry.h"

namespace lvmsync {

enum class EntryField : uint8_t { kOldChunk, kNewChunk };

// Tells data chunks of the store from all other chunk numbers. Quick for numbers near the last one.
class DataChunks {
 public:
  explicit DataChunks(const StoreGeometry& geometry);
  bool Contains(uint64_t chunk) { return chunk - first_ < count_ || Find(chunk); }
  // Why a chunk that is not contained is not; the rest of a message.
  std::string Explain(uint64_t chunk) const;

 private:
  bool Find(uint64_t chunk);

  uint64_t chunks_;
  uint64_t stride_;
  uint64_t first_ = 0;  // the data chunks behind the area that was found last
  uint64_t count_ = 0;
};

// Checks every entry on its own and collects the chunks of the origin.
class OldChunkCollector : public EntryVisitor {
 public:
  OldChunkCollector(const StoreGeometry& geometry, uint64_t origin_size);
  Status Visit(const EntrySpan& entries) override;

  ChunkSet& old_chunks() { return old_chunks_; }
  // An old_chunk that was seen twice, which made Visit fail.
  std::optional<uint64_t> repeat() const { return repeat_; }
  // Whether each new_chunk was above the one before: then none can be there twice.
  bool new_chunks_ascend() const { return new_chunks_ascend_; }

 private:
  Status CheckEntries(const EntrySpan& entries, size_t first, std::span<uint64_t> old_chunks);

  uint64_t origin_chunks_;
  DataChunks data_chunks_;
  ChunkSet old_chunks_;
  std::optional<uint64_t> repeat_;
  uint64_t last_new_chunk_ = 0;
  bool new_chunks_ascend_ = true;
};

// Collects the chunks of the store. Today's kernels number them in the order of the entries; this
// is for stores written by those that recorded exceptions in the order in which copying ended.
class NewChunkCollector : public EntryVisitor {
 public:
  explicit NewChunkCollector(const StoreGeometry& geometry);
  Status Visit(const EntrySpan& entries) override;

  ChunkSet& new_chunks() { return new_chunks_; }
  std::optional<uint64_t> repeat() const { return repeat_; }

 private:
  DataChunks data_chunks_;
  ChunkSet new_chunks_;
  std::optional<uint64_t> repeat_;
};

// Fails at the second entry whose `field` is `value`.
class RepeatFinder : public EntryVisitor {
 public:
  RepeatFinder(EntryField field, uint64_t value) : field_(field), value_(value) {}
  Status Visit(const EntrySpan& entries) override;

 private:
  EntryField field_;
  uint64_t value_;
  bool seen_ = false;
};

}  // namespace lvmsync
