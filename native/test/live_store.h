// A COW device that the kernel goes on writing to while it is read.
#pragma once

#include <cstdint>
#include <deque>
#include <random>
#include <span>
#include <vector>

#include "memory_store.h"
#include "store_builder.h"

namespace lvmsync {

// Before each sector that a Read gives, some sectors of the writes under way reach the medium:
// writes one after the other, the sectors of one in any order. So reads meet areas half-written,
// areas that fill up, and areas that hold garbage until their predecessor is about to be full.
class LiveStore : public StoreReader {
 public:
  // Holds the first `begun` of the exceptions, whole; the others come while it is read.
  LiveStore(const ImageSpec& spec, uint64_t begun, std::mt19937_64& random);

  uint64_t size() const override { return store_.size(); }
  uint32_t alignment() const override { return store_.alignment(); }
  Status Read(std::span<const Extent> extents, std::span<std::byte> into) override;

  // Exceptions whose writes have begun.
  uint64_t exceptions() const { return builder_.exceptions(); }
  uint64_t areas() const { return builder_.areas(); }
  const std::vector<uint64_t>& old_chunks() const { return old_chunks_; }

 private:
  struct Sector {
    uint64_t offset;
    std::vector<std::byte> bytes;
  };

  void Queue(uint64_t offset, std::span<const std::byte> bytes);
  void Progress();
  void BeginCommit();
  void FinishWrites();

  std::mt19937_64& random_;
  MemoryStore store_;
  std::deque<std::vector<Sector>> writes_;  // under way or waiting
  std::vector<uint64_t> old_chunks_;
  StoreBuilder builder_;
};

}  // namespace lvmsync
