#include "extent_set.h"

#include <algorithm>
#include <iterator>

namespace lvmsync {

std::vector<Extent> ExtentSet::Add(Extent extent) {
  std::vector<Extent> fresh;
  if (extent.length == 0) return fresh;
  uint64_t start = extent.offset;
  uint64_t end = extent.offset + extent.length;
  uint64_t uncovered = start;
  auto it = ranges_.upper_bound(start);
  if (it != ranges_.begin() && std::prev(it)->second >= start) --it;
  while (it != ranges_.end() && it->first <= end) {
    if (it->first > uncovered) fresh.push_back({uncovered, it->first - uncovered});
    uncovered = std::max(uncovered, it->second);
    start = std::min(start, it->first);
    end = std::max(end, it->second);
    it = ranges_.erase(it);
  }
  const uint64_t asked_end = extent.offset + extent.length;
  if (uncovered < asked_end) fresh.push_back({uncovered, asked_end - uncovered});
  ranges_.emplace_hint(it, start, end);
  return fresh;
}

bool ExtentSet::Overlaps(Extent extent) const {
  const uint64_t end = extent.offset + extent.length;
  auto it = ranges_.upper_bound(extent.offset);
  if (it != ranges_.begin() && std::prev(it)->second > extent.offset) return true;
  return it != ranges_.end() && it->first < end;
}

}  // namespace lvmsync
