// Which byte ranges of a device a stream has already named.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "core/base/extent.h"
#include "core/stream/page_set.h"

namespace lvmsync {

// Whole pages of 4096 bytes are kept as such; of the odd ends of ranges, which are rare in what
// anybody sends, each takes a node of its own, and their number has a bound.
class ExtentSet {
 public:
  // Odd ends from which on the set is crowded: 16 MiB of memory.
  static constexpr size_t kMostOddEnds = size_t{1} << 18;

  // Adds the range; the parts of it that were not in the set before, in ascending order.
  std::vector<Extent> Add(Extent extent);
  void Insert(Extent extent);
  bool Overlaps(Extent extent) const;
  // It holds more odd ends than memory is kept for: who filled it has to stop.
  bool crowded() const { return odd_.size() > kMostOddEnds; }

 private:
  void InsertOdd(uint64_t start, uint64_t end);
  bool OverlapsOdd(uint64_t start, uint64_t end) const;
  void AppendFresh(uint64_t start, uint64_t end, std::vector<Extent>* fresh) const;

  PageSet pages_;
  std::map<uint64_t, uint64_t> odd_;  // start -> end, disjoint, neighbours merged
};

}  // namespace lvmsync
