#include "core/stream/extent_set.h"

#include <algorithm>
#include <iterator>

namespace lvmsync {
namespace {

constexpr uint64_t kPage = 4096;

uint64_t PageAfter(uint64_t offset) { return (offset + kPage - 1) / kPage; }

void Append(uint64_t start, uint64_t end, std::vector<Extent>* list) {
  if (start >= end) return;
  if (!list->empty() && list->back().offset + list->back().length == start) {
    list->back().length += end - start;
  } else {
    list->push_back({start, end - start});
  }
}

}  // namespace

std::vector<Extent> ExtentSet::Add(Extent extent) {
  std::vector<Extent> fresh;
  const uint64_t end = extent.offset + extent.length;
  const uint64_t last = PageAfter(end);
  pages_.ForEachGap(extent.offset / kPage, last, [&](uint64_t from, uint64_t to) {
    AppendFresh(std::max(from * kPage, extent.offset), std::min(to * kPage, end), &fresh);
  });
  Insert(extent);
  return fresh;
}

// The parts of a range that neither an odd end nor a page covers.
void ExtentSet::AppendFresh(uint64_t start, uint64_t end, std::vector<Extent>* fresh) const {
  auto it = odd_.upper_bound(start);
  if (it != odd_.begin() && std::prev(it)->second > start) --it;
  for (; it != odd_.end() && it->first < end; ++it) {
    Append(start, it->first, fresh);
    start = std::max(start, it->second);
  }
  Append(start, end, fresh);
}

void ExtentSet::Insert(Extent extent) {
  const uint64_t end = extent.offset + extent.length;
  const uint64_t first = PageAfter(extent.offset);
  const uint64_t last = end / kPage;
  if (first >= last) {
    InsertOdd(extent.offset, end);
    return;
  }
  pages_.Add(first, last);
  InsertOdd(extent.offset, first * kPage);
  InsertOdd(last * kPage, end);
}

void ExtentSet::InsertOdd(uint64_t start, uint64_t end) {
  if (start >= end) return;
  auto it = odd_.upper_bound(start);
  if (it != odd_.begin() && std::prev(it)->second >= start) --it;
  while (it != odd_.end() && it->first <= end) {
    start = std::min(start, it->first);
    end = std::max(end, it->second);
    it = odd_.erase(it);
  }
  odd_.emplace_hint(it, start, end);
}

bool ExtentSet::Overlaps(Extent extent) const {
  const uint64_t end = extent.offset + extent.length;
  return pages_.Any(extent.offset / kPage, PageAfter(end)) || OverlapsOdd(extent.offset, end);
}

bool ExtentSet::OverlapsOdd(uint64_t start, uint64_t end) const {
  if (odd_.empty()) return false;
  const auto it = odd_.upper_bound(start);
  if (it != odd_.begin() && std::prev(it)->second > start) return true;
  return it != odd_.end() && it->first < end;
}

}  // namespace lvmsync
