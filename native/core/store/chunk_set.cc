#include "core/store/chunk_set.h"

#include <algorithm>
#include <array>
#include <bit>

namespace lvmsync {
namespace {

constexpr unsigned kDigitBits = 11;
constexpr size_t kDigits = size_t{1} << kDigitBits;
using Histogram = std::array<size_t, kDigits>;

// Far enough ahead to hide a miss of the cache, near enough for the line to be there still.
constexpr size_t kPrefetchDistance = 16;

size_t Digit(uint64_t value, unsigned pass) { return (value >> (pass * kDigitBits)) % kDigits; }

// One stable pass of a radix sort: `from` in the order of one digit goes to `to`.
void Scatter(const std::vector<uint64_t>& from, std::vector<uint64_t>& to,
             const Histogram& histogram, unsigned pass) {
  Histogram position;
  size_t sum = 0;
  for (size_t digit = 0; digit < kDigits; digit++) {
    position[digit] = sum;
    sum += histogram[digit];
  }
  uint64_t* const out = to.data();  // without the checks of hardened libraries: the hot loop
  for (const uint64_t value : from) out[position[Digit(value, pass)]++] = value;
}

// Ascending; `bits` is how many low bits of the values are in use.
void RadixSort(std::vector<uint64_t>& values, unsigned bits) {
  const unsigned passes = (bits + kDigitBits - 1) / kDigitBits;
  std::vector<Histogram> histograms(passes, Histogram{});
  for (const uint64_t value : values) {
    for (unsigned pass = 0; pass < passes; pass++) histograms[pass][Digit(value, pass)]++;
  }
  std::vector<uint64_t> other(values.size());
  for (unsigned pass = 0; pass < passes; pass++) {
    Scatter(values, other, histograms[pass], pass);
    values.swap(other);
  }
}

// Below this the histograms cost more than they save.
constexpr size_t kRadixMinimum = 4096;

void Sort(std::vector<uint64_t>& values, uint64_t limit) {
  if (values.size() < kRadixMinimum) {
    std::sort(values.begin(), values.end());
  } else {
    RadixSort(values, static_cast<unsigned>(std::bit_width(limit)));
  }
}

}  // namespace

std::optional<uint64_t> ChunkSet::Add(std::span<const uint64_t> chunks) {
  if (!bitmap_.empty()) return Mark(chunks);
  list_.insert(list_.end(), chunks.begin(), chunks.end());
  if (!BitmapIsSmaller(list_.size())) return std::nullopt;
  bitmap_.resize(limit_ / 64 + 1);
  const std::vector<uint64_t> list = std::move(list_);
  list_.clear();
  return Mark(list);
}

std::optional<uint64_t> ChunkSet::Mark(std::span<const uint64_t> chunks) {
  for (size_t i = 0; i < chunks.size(); i++) {
    if (i + kPrefetchDistance < chunks.size()) {
      __builtin_prefetch(&bitmap_[chunks[i + kPrefetchDistance] / 64], 1);
    }
    uint64_t& word = bitmap_[chunks[i] / 64];
    const uint64_t bit = uint64_t{1} << (chunks[i] % 64);
    if ((word & bit) != 0) return chunks[i];
    word |= bit;
  }
  return std::nullopt;
}

std::optional<uint64_t> ChunkSet::Seal() {
  Sort(list_, limit_);
  const auto repeated = std::adjacent_find(list_.begin(), list_.end());
  return repeated == list_.end() ? std::nullopt : std::optional(*repeated);
}

// Calls emit(first, end) for each run of consecutive chunks, ascending.
template <typename Emit>
void ChunkSet::ForEachRun(Emit emit) const {
  for (size_t i = 0; i < list_.size();) {
    size_t next = i + 1;
    while (next < list_.size() && list_[next] == list_[next - 1] + 1) next++;
    emit(list_[i], list_[next - 1] + 1);
    i = next;
  }
  uint64_t first = 0;
  uint64_t previous = 0;  // the bit before the word, where a run may be open
  for (size_t i = 0; i < bitmap_.size(); i++) {
    const uint64_t word = bitmap_[i];
    for (uint64_t edges = word ^ (word << 1 | previous); edges != 0; edges &= edges - 1) {
      const unsigned bit = static_cast<unsigned>(std::countr_zero(edges));
      const uint64_t edge = i * 64 + bit;
      if ((word >> bit & 1) != 0) {
        first = edge;
      } else {
        emit(first, edge);
      }
    }
    previous = word >> 63;
  }
}

uint64_t ChunkSet::CountRuns() const {
  uint64_t runs = 0;
  for (size_t i = 0; i < list_.size(); i++) {
    runs += i == 0 || list_[i] != list_[i - 1] + 1 ? 1 : 0;
  }
  uint64_t previous = 0;
  for (const uint64_t word : bitmap_) {
    runs += static_cast<uint64_t>(std::popcount(word & ~(word << 1 | previous)));
    previous = word >> 63;
  }
  return runs;
}

ExtentList ChunkSet::ToExtents(uint64_t chunk_size, uint64_t device_size) const {
  ExtentList extents;
  extents.reserve(CountRuns());
  ForEachRun([&](uint64_t first, uint64_t end) {
    // The product of the last chunk's end may not fit 64 bits; the device's size does.
    const uint64_t end_offset = end > device_size / chunk_size ? device_size : end * chunk_size;
    extents.push_back({first * chunk_size, end_offset - first * chunk_size});
  });
  return extents;
}

}  // namespace lvmsync
