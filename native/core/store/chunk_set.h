// A set of chunk numbers that shows whether one was added twice.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/base/extent.h"

namespace lvmsync {

// Begins as a list and becomes a bitmap as soon as that is smaller, so that neither few chunks of a
// huge device nor most chunks of a small one need more than 16 bytes each, at the peak.
class ChunkSet {
 public:
  // Holds numbers below `limit`.
  explicit ChunkSet(uint64_t limit) : limit_(limit) {}

  // Adds numbers, all of them below the limit. Answers with one that was in the set before, if that
  // is known yet; the set is of no use then.
  std::optional<uint64_t> Add(std::span<const uint64_t> chunks);

  // Ends adding. Answers with a number that was added twice.
  std::optional<uint64_t> Seal();

  // The sealed set as bytes of a device of `device_size` bytes whose chunks are `chunk_size` long:
  // ascending, neighbours merged. A last chunk that is short is clipped.
  ExtentList ToExtents(uint64_t chunk_size, uint64_t device_size) const;

 private:
  bool BitmapIsSmaller(size_t count) const { return count >= limit_ / 64; }
  std::optional<uint64_t> Mark(std::span<const uint64_t> chunks);
  uint64_t CountRuns() const;
  template <typename Emit>
  void ForEachRun(Emit emit) const;

  uint64_t limit_;
  std::vector<uint64_t> list_;    // as added; ascending once sealed
  std::vector<uint64_t> bitmap_;  // empty while the list is in use
};

}  // namespace lvmsync
