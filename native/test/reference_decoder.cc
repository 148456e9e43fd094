#include "reference_decoder.h"

#include <algorithm>
#include <set>
#include <vector>

#include "store_builder.h"

namespace lvmsync {
namespace {

// How far behind the end of the list the decoder looks for bytes that are not zero.
constexpr uint64_t kTailWindow = uint64_t{1} << 20;

struct Entry {
  uint64_t old_chunk;
  uint64_t new_chunk;
};

std::optional<uint64_t> ReadChunkSize(const MemoryStore& store) {
  if (store.size() < 16) return std::nullopt;
  const uint64_t magic_and_valid = store.PeekU64(0);
  const uint64_t version_and_chunk = store.PeekU64(8);
  if (magic_and_valid != 0x1'7041'6e53) return std::nullopt;
  if ((version_and_chunk & 0xffff'ffff) != 1) return std::nullopt;
  const uint64_t sectors = version_and_chunk >> 32;
  if (sectors == 0 || (sectors & (sectors - 1)) != 0 || sectors > 1 << 21) return std::nullopt;
  const uint64_t bytes = sectors * 512;
  if (bytes % store.logical_block() != 0 || bytes > store.size()) return std::nullopt;
  return bytes;
}

// Whether all is zero from `offset` to the end of its area, or of the window of it that it is in.
bool TailIsZero(const MemoryStore& store, uint64_t area_offset, uint64_t offset, uint64_t chunk) {
  const uint64_t within = offset - area_offset;
  const uint64_t end = area_offset + std::min(chunk, (within / kTailWindow + 1) * kTailWindow);
  std::vector<std::byte> bytes(end - offset);
  store.Peek(offset, bytes);
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{}; });
}

// The entries up to the end of the list.
std::optional<std::vector<Entry>> ReadList(const MemoryStore& store, uint64_t chunk) {
  std::vector<Entry> entries;
  const uint64_t per_area = chunk / 16;
  for (uint64_t area = 0;; area++) {
    const uint64_t area_chunk = 1 + area * (per_area + 1);
    if (area_chunk >= store.size() / chunk) return std::nullopt;
    for (uint64_t i = 0; i < per_area; i++) {
      const uint64_t offset = area_chunk * chunk + i * 16;
      const Entry entry{store.PeekU64(offset), store.PeekU64(offset + 8)};
      if (entry.new_chunk == 0) {
        if (!TailIsZero(store, area_chunk * chunk, offset, chunk)) return std::nullopt;
        return entries;
      }
      entries.push_back(entry);
    }
  }
}

}  // namespace

std::optional<DecodedStore> ReferenceDecode(const MemoryStore& store, uint64_t origin_size) {
  const std::optional<uint64_t> chunk = ReadChunkSize(store);
  if (!chunk) return std::nullopt;
  const auto entries = ReadList(store, *chunk);
  if (!entries) return std::nullopt;
  std::set<uint64_t> old_chunks;
  std::set<uint64_t> new_chunks;
  for (const Entry& entry : *entries) {
    if (entry.new_chunk % (*chunk / 16 + 1) == 1) return std::nullopt;
    if (entry.new_chunk >= store.size() / *chunk) return std::nullopt;
    if (entry.old_chunk > origin_size / *chunk) return std::nullopt;
    if (entry.old_chunk * *chunk >= origin_size) return std::nullopt;
    if (!old_chunks.insert(entry.old_chunk).second) return std::nullopt;
    if (!new_chunks.insert(entry.new_chunk).second) return std::nullopt;
  }
  return DecodedStore{static_cast<uint32_t>(*chunk), entries->size(),
                      ExtentsOf({old_chunks.begin(), old_chunks.end()}, *chunk, origin_size)};
}

}  // namespace lvmsync
