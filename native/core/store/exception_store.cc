#include "core/store/exception_store.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <new>
#include <string>
#include <utility>

#include "core/base/little_endian.h"
#include "core/base/slab.h"
#include "core/store/exception_check.h"
#include "core/store/exception_walk.h"
#include "core/store/store_geometry.h"

namespace lvmsync {
namespace {

constexpr uint32_t kMagic = 0x70416e53;  // "SnAp"
constexpr uint32_t kVersion = 1;
constexpr uint32_t kValid = 1;

constexpr uint64_t kMagicOffset = 0;
constexpr uint64_t kValidOffset = 4;
constexpr uint64_t kVersionOffset = 8;
constexpr uint64_t kChunkSizeOffset = 12;
constexpr uint64_t kHeaderBytes = 16;

Status BadHeader(uint64_t offset, const std::string& what) {
  return Status::Corrupt(offset, "header: " + what);
}

std::string Hexadecimal(uint32_t value) {
  char text[sizeof "0x00000000"];
  std::snprintf(text, sizeof text, "0x%08x", value);
  return text;
}

Status CheckIdentity(const std::byte* header) {
  const uint32_t magic = load_le32(header + kMagicOffset);
  const uint32_t version = load_le32(header + kVersionOffset);
  const uint32_t valid = load_le32(header + kValidOffset);
  if (magic == 0) return BadHeader(kMagicOffset, "magic is 0, the snapshot was never activated");
  if (magic != kMagic) {
    return BadHeader(kMagicOffset,
                     "magic is " + Hexadecimal(magic) + ", expected " + Hexadecimal(kMagic));
  }
  if (version != kVersion) {
    return BadHeader(kVersionOffset, "version is " + std::to_string(version) + ", expected 1");
  }
  if (valid == 0) {
    return BadHeader(kValidOffset,
                     "valid is 0, the snapshot overflowed or failed: its list is lost");
  }
  if (valid != kValid) {
    return BadHeader(kValidOffset, "valid is " + std::to_string(valid) + ", expected 0 or 1");
  }
  return Status::Ok();
}

Status CheckChunkSize(uint64_t sectors, const StoreReader& reader) {
  const std::string subject = "chunk size of " + std::to_string(sectors) + " sectors ";
  const uint64_t bytes = sectors * kSectorBytes;
  if (!std::has_single_bit(sectors)) {
    return BadHeader(kChunkSizeOffset, subject + "is not a power of two");
  }
  if (sectors > kMaxChunkSectors) {
    return BadHeader(kChunkSizeOffset,
                     subject + "is above the limit of " + std::to_string(kMaxChunkSectors));
  }
  if (bytes % reader.logical_block() != 0) {
    return BadHeader(kChunkSizeOffset, subject + "is not a multiple of the device's block of " +
                                           std::to_string(reader.logical_block()) + " bytes");
  }
  if (bytes > reader.size()) {
    return BadHeader(reader.size(), subject + "is more than the store's " +
                                        std::to_string(reader.size()) + " bytes");
  }
  return Status::Ok();
}

// Says where a chunk that is in the list twice is found the second time.
Status LocateRepeat(StoreReader& reader, const StoreGeometry& geometry, const DecodeLimits& limits,
                    RepeatFinder finder) {
  uint64_t exceptions = 0;
  Status status = WalkExceptions(reader, geometry, limits, finder, &exceptions);
  if (!status.ok()) return status;
  return Status::Corrupt(0, "a chunk was in the list twice, and once when read again");
}

Status CheckNewChunksDiffer(StoreReader& reader, const StoreGeometry& geometry,
                            const DecodeLimits& limits) {
  NewChunkCollector collector(geometry);
  uint64_t exceptions = 0;
  Status status = WalkExceptions(reader, geometry, limits, collector, &exceptions);
  if (!status.ok() && !collector.repeat()) return status;
  const auto repeat = collector.repeat() ? collector.repeat() : collector.new_chunks().Seal();
  if (!repeat) return Status::Ok();
  return LocateRepeat(reader, geometry, limits, RepeatFinder(EntryField::kNewChunk, *repeat));
}

// All but the check that no new_chunk repeats, which only entries out of order need.
Status DecodeList(StoreReader& reader, const StoreGeometry& geometry, const DecodeLimits& limits,
                  DecodedStore* found, bool* new_chunks_ascend) {
  OldChunkCollector collector(geometry, limits.origin_size);
  uint64_t exceptions = 0;
  Status status = WalkExceptions(reader, geometry, limits, collector, &exceptions);
  if (!status.ok() && !collector.repeat()) return status;
  const auto repeat = collector.repeat() ? collector.repeat() : collector.old_chunks().Seal();
  if (repeat) {
    return LocateRepeat(reader, geometry, limits, RepeatFinder(EntryField::kOldChunk, *repeat));
  }
  *new_chunks_ascend = collector.new_chunks_ascend();
  *found = {static_cast<uint32_t>(geometry.chunk_size), exceptions,
            collector.old_chunks().ToExtents(geometry.chunk_size, limits.origin_size)};
  return Status::Ok();
}

Status Decode(StoreReader& reader, const DecodeLimits& limits, DecodedStore* decoded) {
  StoreHeader header;
  if (Status status = ReadStoreHeader(reader, &header); !status.ok()) return status;
  const StoreGeometry geometry{header.chunk_size, reader.size()};
  DecodedStore found;
  bool new_chunks_ascend = false;
  Status status = DecodeList(reader, geometry, limits, &found, &new_chunks_ascend);
  if (status.ok() && !new_chunks_ascend) status = CheckNewChunksDiffer(reader, geometry, limits);
  if (status.ok()) *decoded = std::move(found);
  return status;
}

}  // namespace

Status ReadStoreHeader(StoreReader& reader, StoreHeader* header) {
  *header = {};
  if (reader.size() < kHeaderBytes) {
    return BadHeader(reader.size(),
                     "the store is only " + std::to_string(reader.size()) + " bytes");
  }
  // Both are powers of two, so that the larger is a multiple of the smaller.
  const uint64_t aligned = std::max<uint64_t>(reader.alignment(), kHeaderBytes);
  const Extent extent{0, std::min(aligned, reader.size())};
  const Slab slab = Slab::Allocate(extent.length);
  if (slab.size() == 0) return Status::System(ENOMEM, "mmap", 0);
  if (Status status = reader.Read({&extent, 1}, slab.bytes()); !status.ok()) return status;
  if (Status status = CheckIdentity(slab.data()); !status.ok()) return status;
  const uint32_t sectors = load_le32(slab.data() + kChunkSizeOffset);
  if (Status status = CheckChunkSize(sectors, reader); !status.ok()) return status;
  header->chunk_size = static_cast<uint32_t>(sectors * kSectorBytes);
  return Status::Ok();
}

Status DecodeStore(StoreReader& reader, const DecodeLimits& limits, DecodedStore* decoded) {
  *decoded = {};
  try {
    return Decode(reader, limits, decoded);
  } catch (const std::bad_alloc&) {
    return Status::System(ENOMEM, "malloc", 0);
  }
}

std::optional<uint64_t> ExpectedExceptions(uint64_t allocated_sectors, uint64_t chunk_sectors) {
  if (!std::has_single_bit(chunk_sectors) || chunk_sectors > kMaxChunkSectors) return std::nullopt;
  if (allocated_sectors % chunk_sectors != 0) return std::nullopt;
  // The chunk that the kernel would use next: behind the header and area 0 at least, never an area.
  const uint64_t next = allocated_sectors / chunk_sectors;
  const uint64_t stride = chunk_sectors * kSectorBytes / kEntryBytes + 1;
  if (next < kHeaderChunks + 1 || next % stride == kHeaderChunks) return std::nullopt;
  const uint64_t behind_area_0 = next - kHeaderChunks - 1;
  return behind_area_0 - behind_area_0 / stride;
}

}  // namespace lvmsync
