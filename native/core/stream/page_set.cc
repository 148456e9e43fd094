#include "core/stream/page_set.h"

#include <algorithm>
#include <numeric>

namespace lvmsync {
namespace {

// Pages from which on a bitmap is smaller than a list.
constexpr size_t kLongestList = 4096;
constexpr uint32_t kWordBits = 64;

}  // namespace

void PageSet::Add(uint64_t first, uint64_t end) {
  ForEachArea(first, end, [&](uint64_t number, uint32_t from, uint32_t to) {
    Area& area = areas_[number];
    last_number_ = number;
    last_ = &area;
    area.Add(from, to);
  });
}

bool PageSet::Any(uint64_t first, uint64_t end) const {
  bool any = false;
  ForEachArea(first, end, [&](uint64_t number, uint32_t from, uint32_t to) {
    const Area* area = any ? nullptr : Find(number);
    any = any || (area != nullptr && area->NextSet(from, to) < to);
  });
  return any;
}

const PageSet::Area* PageSet::Find(uint64_t number) const {
  if (number != last_number_) {
    const auto found = areas_.find(number);
    last_number_ = number;
    last_ = found == areas_.end() ? nullptr : &found->second;
  }
  return last_;
}

void PageSet::Area::Add(uint32_t first, uint32_t end) {
  if (bitmap_.empty() && list_.size() + (end - first) > kLongestList) BecomeBitmap();
  if (!bitmap_.empty()) {
    Mark(first, end);
    return;
  }
  auto at = list_.end();
  if (!list_.empty() && list_.back() >= first) {
    at = std::lower_bound(list_.begin(), list_.end(), first);
    at = list_.erase(at, std::lower_bound(at, list_.end(), end));
  }
  at = list_.insert(at, end - first, 0);
  std::iota(at, at + (end - first), static_cast<uint16_t>(first));
}

void PageSet::Area::BecomeBitmap() {
  bitmap_.resize(kAreaPages / kWordBits);
  for (const uint32_t page : list_) Mark(page, page + 1);
  list_ = {};
}

void PageSet::Area::Mark(uint32_t first, uint32_t end) {
  for (uint32_t at = first; at < end;) {
    const uint32_t bit = at % kWordBits;
    const uint32_t count = std::min(end - at, kWordBits - bit);
    bitmap_[at / kWordBits] |= (~uint64_t{0} >> (kWordBits - count)) << bit;
    at += count;
  }
}

uint32_t PageSet::Area::NextSet(uint32_t at, uint32_t end) const {
  if (!bitmap_.empty()) return Scan(at, end, 0);
  if (list_.empty() || list_.back() < at) return end;
  return std::min<uint32_t>(*std::lower_bound(list_.begin(), list_.end(), at), end);
}

uint32_t PageSet::Area::NextClear(uint32_t at, uint32_t end) const {
  if (!bitmap_.empty()) return Scan(at, end, ~uint64_t{0});
  auto entry = std::lower_bound(list_.begin(), list_.end(), at);
  for (; at < end && entry != list_.end() && *entry == at; ++entry) at++;
  return at;
}

// The first bit from `at` on that is set in the bitmap, every word of which is combined with
// `flip`.
uint32_t PageSet::Area::Scan(uint32_t at, uint32_t end, uint64_t flip) const {
  while (at < end) {
    const uint32_t bit = at % kWordBits;
    const uint64_t word = (bitmap_[at / kWordBits] ^ flip) >> bit;
    if (word != 0) return std::min(at + static_cast<uint32_t>(std::countr_zero(word)), end);
    at += kWordBits - bit;
  }
  return end;
}

}  // namespace lvmsync
