// Which byte ranges of a device a stream has already named.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "extent.h"

namespace lvmsync {

// Disjoint ranges, neighbours merged. A stream in ascending order keeps it at one range per gap,
// and costs one comparison per record.
class ExtentSet {
 public:
  // Adds the range; the parts of it that were not in the set before, in ascending order.
  std::vector<Extent> Add(Extent extent);
  bool Overlaps(Extent extent) const;
  size_t size() const { return ranges_.size(); }

 private:
  std::map<uint64_t, uint64_t> ranges_;  // start -> end
};

}  // namespace lvmsync
