#include "store_builder.h"

#include <algorithm>
#include <numeric>

#include "core/base/little_endian.h"

namespace lvmsync {
namespace {

// Chunks in flight at one time, and what share of them a crash loses, in the layout kCompletion.
constexpr size_t kInFlight = 16;
constexpr uint64_t kLostOneIn = 8;

template <typename T>
void Store(std::span<std::byte> bytes, size_t at, T value) {
  static_assert(std::endian::native == std::endian::little);
  std::memcpy(bytes.subspan(at, sizeof value).data(), &value, sizeof value);
}

}  // namespace

StoreBuilder::StoreBuilder(uint64_t chunk_size, Write write)
    : chunk_size_(chunk_size),
      entries_per_area_(chunk_size / kEntryBytes),
      write_(std::move(write)),
      area_(chunk_size) {
  std::vector<std::byte> header(std::min<uint64_t>(chunk_size, 4096));
  Store<uint32_t>(header, 0, 0x70416e53);
  Store<uint32_t>(header, 4, 1);
  Store<uint32_t>(header, 8, 1);
  Store<uint32_t>(header, 12, static_cast<uint32_t>(chunk_size / kSectorBytes));
  write_(0, header);
  ZeroArea(0);
}

uint64_t StoreBuilder::Prepare() {
  const uint64_t chunk = next_free_++;
  SkipArea();
  return chunk;
}

void StoreBuilder::SkipArea() {
  if (next_free_ % (entries_per_area_ + 1) == kHeaderChunks) next_free_++;
}

void StoreBuilder::Commit(uint64_t old_chunk, uint64_t new_chunk) {
  Store(area_, committed_ * kEntryBytes, old_chunk);
  Store(area_, committed_ * kEntryBytes + 8, new_chunk);
  highest_committed_ = std::max(highest_committed_, new_chunk);
  if (++committed_ < entries_per_area_) return;
  ZeroArea(current_area_ + 1);
  Flush();
  current_area_++;
  committed_ = 0;
  std::fill(area_.begin(), area_.end(), std::byte{});
}

void StoreBuilder::Flush() { write_(AreaOffset(current_area_), area_); }

void StoreBuilder::Reactivate() {
  next_free_ = std::max(highest_committed_, kHeaderChunks) + 1;
  SkipArea();
}

void StoreBuilder::ZeroArea(uint64_t area) {
  write_(AreaOffset(area), std::vector<std::byte>(chunk_size_));
}

uint64_t StoreBuilder::AreaOffset(uint64_t area) const {
  return (kHeaderChunks + area * (entries_per_area_ + 1)) * chunk_size_;
}

uint64_t ChunksNeeded(uint64_t chunk_size, uint64_t exceptions) {
  return kHeaderChunks + exceptions / (chunk_size / kEntryBytes) + 1 + exceptions;
}

uint64_t Image::EntryOffset(uint64_t index) const {
  const uint64_t per_area = geometry.entries_per_area();
  return geometry.area_offset(index / per_area) + index % per_area * kEntryBytes;
}

void Image::SetEntry(uint64_t index, uint64_t old_chunk, uint64_t new_chunk) {
  store.WriteU64(EntryOffset(index), old_chunk);
  store.WriteU64(EntryOffset(index) + 8, new_chunk);
}

// Commits a handful in another order than they were prepared, and may lose some of them in a crash.
static std::vector<uint64_t> CommitShuffled(StoreBuilder& builder, std::span<const uint64_t> chunks,
                                            std::mt19937_64& random) {
  struct Pending {
    uint64_t old_chunk;
    uint64_t new_chunk;
  };
  std::vector<Pending> pending;
  for (const uint64_t chunk : chunks) pending.push_back({chunk, builder.Prepare()});
  std::shuffle(pending.begin(), pending.end(), random);
  if (Below(random, kLostOneIn) == 0) pending.resize(Below(random, pending.size()) + 1);
  std::vector<uint64_t> committed;
  for (const Pending& exception : pending) {
    builder.Commit(exception.old_chunk, exception.new_chunk);
    committed.push_back(exception.old_chunk);
  }
  if (committed.size() < chunks.size()) builder.Reactivate();
  return committed;
}

static std::vector<uint64_t> Fill(StoreBuilder& builder, const ImageSpec& spec,
                                  std::mt19937_64& random) {
  std::vector<uint64_t> chunks = MakeOldChunks(spec.exceptions, spec.origin_chunks, random);
  if (spec.layout == Layout::kInOrder) {
    for (const uint64_t chunk : chunks) builder.Commit(chunk, builder.Prepare());
    return chunks;
  }
  std::vector<uint64_t> committed;
  for (size_t i = 0; i < chunks.size(); i += kInFlight) {
    const auto group = std::span(chunks).subspan(i, std::min(kInFlight, chunks.size() - i));
    const std::vector<uint64_t> survivors = CommitShuffled(builder, group, random);
    committed.insert(committed.end(), survivors.begin(), survivors.end());
  }
  return committed;
}

Image MakeImage(const ImageSpec& spec, std::mt19937_64& random) {
  const uint64_t chunks = ChunksNeeded(spec.chunk_size, spec.exceptions) + spec.spare_chunks;
  const uint64_t size = chunks * spec.chunk_size;
  Image image{MemoryStore(size, random() | 1), {spec.chunk_size, size}, 0, 0, 0, false, {}};
  image.origin_size = spec.origin_chunks * spec.chunk_size - spec.origin_shortfall;
  StoreBuilder builder(spec.chunk_size, [&](uint64_t offset, std::span<const std::byte> bytes) {
    image.store.Write(offset, bytes);
  });
  image.old_chunks = Fill(builder, spec, random);
  builder.Flush();
  image.areas = builder.areas();
  image.next_free = builder.next_free();
  image.has_holes = spec.layout == Layout::kCompletion;
  return image;
}

std::vector<uint64_t> MakeOldChunks(uint64_t count, uint64_t limit, std::mt19937_64& random) {
  // Steps of a length without a divisor in common with `limit` meet each number once.
  const uint64_t steps[] = {1, limit - 1, 1 + Below(random, 3), 1 + Below(random, limit)};
  uint64_t step = steps[Below(random, std::size(steps))];
  while (std::gcd(step, limit) != 1) step++;
  const uint64_t begins[] = {0, limit - 1, Below(random, limit)};
  uint64_t chunk = begins[Below(random, std::size(begins))];
  std::vector<uint64_t> chunks;
  for (uint64_t i = 0; i < count; i++) {
    chunks.push_back(chunk);
    chunk = chunk < limit - step % limit ? chunk + step % limit : chunk - (limit - step % limit);
  }
  return chunks;
}

ExtentList ExtentsOf(std::vector<uint64_t> old_chunks, uint64_t chunk_size, uint64_t origin_size) {
  std::sort(old_chunks.begin(), old_chunks.end());
  ExtentList extents;
  for (const uint64_t chunk : old_chunks) {
    const Extent extent{chunk * chunk_size, std::min(chunk_size, origin_size - chunk * chunk_size)};
    if (!extents.empty() && extents.back().offset + extents.back().length == extent.offset) {
      extents.back().length += extent.length;
    } else {
      extents.push_back(extent);
    }
  }
  return extents;
}

uint64_t Below(std::mt19937_64& random, uint64_t bound) {
  return std::uniform_int_distribution<uint64_t>(0, bound - 1)(random);
}

}  // namespace lvmsync
