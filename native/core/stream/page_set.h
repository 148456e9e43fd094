// A set of page numbers that takes little memory whether its members are few, many, or in runs.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace lvmsync {

// Pages are kept by areas of 65536 of them, each as an ascending list of two bytes a page, or as a
// bitmap of 8 KiB once that is smaller. With pages of 4 KiB all of it is at most 32 MiB for each
// TiB, and some hundred bytes for an area with a single page in it.
class PageSet {
 public:
  // All of first .. end - 1.
  void Add(uint64_t first, uint64_t end);
  // Whether any of first .. end - 1 is in the set.
  bool Any(uint64_t first, uint64_t end) const;

  // Calls emit(first, end) for runs of pages among first .. end - 1 that are not in the set,
  // ascending. A run that crosses the end of an area comes in two.
  template <typename Emit>
  void ForEachGap(uint64_t first, uint64_t end, Emit emit) const {
    ForEachArea(first, end, [&](uint64_t number, uint32_t from, uint32_t to) {
      const Area* area = Find(number);
      const uint64_t base = number * kAreaPages;
      for (uint32_t at = from; at < to;) {
        const uint32_t gap = area == nullptr ? at : area->NextClear(at, to);
        const uint32_t next = area == nullptr ? to : area->NextSet(gap, to);
        if (gap < next) emit(base + gap, base + next);
        at = next;
      }
    });
  }

 private:
  static constexpr uint32_t kAreaPages = 1 << 16;

  // Positions are pages from its start.
  class Area {
   public:
    void Add(uint32_t first, uint32_t end);
    // The first position from `at` on that is in the set, or is not; `end` where there is none.
    uint32_t NextSet(uint32_t at, uint32_t end) const;
    uint32_t NextClear(uint32_t at, uint32_t end) const;

   private:
    void BecomeBitmap();
    void Mark(uint32_t first, uint32_t end);
    uint32_t Scan(uint32_t at, uint32_t end, uint64_t flip) const;

    std::vector<uint16_t> list_;    // ascending; empty once the bitmap is in use
    std::vector<uint64_t> bitmap_;  // empty while the list is in use
  };

  // Calls visit(number, from, to) for each area that first .. end - 1 reaches into.
  template <typename Visit>
  static void ForEachArea(uint64_t first, uint64_t end, Visit visit) {
    while (first < end) {
      const uint64_t number = first / kAreaPages;
      const auto from = static_cast<uint32_t>(first % kAreaPages);
      const uint64_t left = end - number * kAreaPages;
      const auto to = static_cast<uint32_t>(left < kAreaPages ? left : kAreaPages);
      visit(number, from, to);
      first = (number + 1) * kAreaPages;
    }
  }

  const Area* Find(uint64_t number) const;

  std::unordered_map<uint64_t, Area> areas_;
  // The area that was looked for last: most streams stay in one for a while.
  mutable uint64_t last_number_ = UINT64_MAX;
  mutable const Area* last_ = nullptr;
};

}  // namespace lvmsync
