// Stores with a wrong value in them: each is refused, says where, and gives no list.
#include <random>

#include "core/store/exception_store.h"
#include "expect_corrupt.h"
#include "store_builder.h"
#include "testing.h"

namespace lvmsync {
namespace {

using testing::Expect;
using testing::ExpectContains;
using testing::ExpectCorrupt;
using testing::ExpectEqual;

constexpr uint64_t kChunk = 4096;
constexpr uint64_t kPerArea = 256;
constexpr uint64_t kExceptions = 2 * kPerArea + 44;
constexpr uint64_t kOriginChunks = 1000;
constexpr uint64_t kTop = uint64_t{1} << 63;

// The base of most rows: three areas, the last partly filled, behind them space with garbage.
Image MakeBase(std::mt19937_64& random) {
  return MakeImage({.chunk_size = kChunk,
                    .exceptions = kExceptions,
                    .origin_chunks = kOriginChunks,
                    .spare_chunks = 300},
                   random);
}

struct HeaderRow {
  const char* title;
  uint64_t at;  // byte in the header
  uint32_t value;
  const char* fragment;
};

const HeaderRow kHeaderRows[] = {
    {"magic 0", 0, 0, "header: magic is 0, the snapshot was never activated"},
    {"another magic", 0, 0x70416e54, "header: magic is 0x70416e54, expected 0x70416e53"},
    {"version 0", 8, 0, "header: version is 0, expected 1"},
    {"version 2", 8, 2, "header: version is 2, expected 1"},
    {"valid 0", 4, 0, "header: valid is 0, the snapshot overflowed or failed: its list is lost"},
    {"valid 2", 4, 2, "header: valid is 2, expected 0 or 1"},
    {"valid ffffffff", 4, 0xffffffff, "header: valid is 4294967295, expected 0 or 1"},
    {"chunk size 0", 12, 0, "header: chunk size of 0 sectors is not a power of two"},
    {"chunk size 3", 12, 3, "header: chunk size of 3 sectors is not a power of two"},
    {"chunk size 1 on a 4Kn device", 12, 1,
     "header: chunk size of 1 sectors is not a multiple of the device's block of 4096 bytes"},
    {"chunk size 2^22", 12, 1U << 22,
     "header: chunk size of 4194304 sectors is above the limit of 2097152"},
    {"chunk size 2^31", 12, 1U << 31, "is above the limit of 2097152"},
    {"chunk size ffffffff", 12, 0xffffffff, "is not a power of two"},
};

void RefusesDamagedHeaders() {
  std::mt19937_64 random(testing::Seed());
  for (const HeaderRow& row : kHeaderRows) {
    Image image = MakeBase(random);
    image.store.set_logical_block(4096);
    image.store.WriteU32(row.at, row.value);
    ExpectCorrupt(image, row.fragment, row.at, row.title);
    StoreHeader header{1};
    const Status status = ReadStoreHeader(image.store, &header);
    ExpectContains(status.detail, row.fragment);
    ExpectEqual<uint32_t>(header.chunk_size, 0, std::string(row.title) + ": no chunk size");
  }
}

struct EntryRow {
  const char* title;
  uint64_t index;  // of the damaged entry
  uint64_t old_chunk;
  uint64_t new_chunk;
  const char* fragment;
};

// Entry 5 rightly names chunk 7 of the store; entries 256 and 512 begin areas 1 and 2.
const EntryRow kEntryRows[] = {
    {"new_chunk at area 0", 5, 9, 1, "area 0, entry 5: new_chunk 1 is the place of area 0"},
    {"new_chunk at area 1", 5, 9, 258, "area 0, entry 5: new_chunk 258 is the place of area 1"},
    {"new_chunk at area 3, unused", 300, 9, 772,
     "area 1, entry 44: new_chunk 772 is the place of area 3"},
    {"new_chunk past the store", 520, 9, 860,
     "area 2, entry 8: new_chunk 860 is not below the 860 chunks of the store"},
    {"new_chunk 2^56", 0, 9, uint64_t{1} << 56, "area 0, entry 0: new_chunk 72057594037927936 is"},
    {"new_chunk 2^63", 255, 9, kTop, "area 0, entry 255: new_chunk 9223372036854775808 is not"},
    {"new_chunk 2^64-1", 256, 9, UINT64_MAX, "area 1, entry 0: new_chunk 18446744073709551615 is"},
    {"new_chunk 0 in an entry that is not the last", 5, 9, 0,
     "area 0, entry 5: new_chunk is 0 but old_chunk is 9"},
    {"new_chunk 0 in the last entry", kExceptions - 1, 9, 0,
     "area 2, entry 43: new_chunk is 0 but old_chunk is 9"},
    {"old_chunk past the origin", 5, 1000, 7,
     "area 0, entry 5: old_chunk 1000 is not below the 1000 chunks of the origin"},
    {"old_chunk 2^55", 257, uint64_t{1} << 55, 260, "area 1, entry 1: old_chunk 36028797018963968"},
    {"old_chunk 2^52, whose product with the chunk size is 0", 5, uint64_t{1} << 52, 7,
     "area 0, entry 5: old_chunk 4503599627370496 is not below"},
    {"old_chunk 2^64-1", 5, UINT64_MAX, 7, "area 0, entry 5: old_chunk 18446744073709551615"},
};

void RefusesDamagedEntries() {
  std::mt19937_64 random(testing::Seed());
  for (const EntryRow& row : kEntryRows) {
    Image image = MakeBase(random);
    ExpectEqual<uint64_t>(image.geometry.chunks(), 860, "the rows know the size");
    image.SetEntry(row.index, row.old_chunk, row.new_chunk);
    ExpectCorrupt(image, row.fragment, image.EntryOffset(row.index), row.title);
  }
}

void AcceptsTheLastChunks() {
  std::mt19937_64 random(testing::Seed());
  Image image =
      MakeImage({.exceptions = 1, .origin_chunks = kOriginChunks, .spare_chunks = 300}, random);
  image.SetEntry(0, kOriginChunks - 1, image.geometry.chunks() - 1);
  DecodedStore decoded;
  const Status status = DecodeStore(image.store, {image.origin_size, 0}, &decoded);
  Expect(status.ok(), status.detail);
  Expect(decoded.extents == ExtentList{{(kOriginChunks - 1) * kChunk, kChunk}}, "the last chunk");
}

// An origin of a few and of very many chunks: repeats are found in different ways.
void RefusesRepeats() {
  std::mt19937_64 random(testing::Seed());
  for (const uint64_t origin_chunks : {uint64_t{600}, uint64_t{1} << 50}) {
    for (const auto& [first, second] : {std::pair{5, 6}, {0, 255}, {255, 256}, {3, 555}}) {
      const auto one = static_cast<uint64_t>(first);
      const auto other = static_cast<uint64_t>(second);
      const ImageSpec spec{.exceptions = kExceptions, .origin_chunks = origin_chunks};
      const std::string where = "area " + std::to_string(other / kPerArea) + ", entry " +
                                std::to_string(other % kPerArea) + ": ";
      Image image = MakeImage(spec, random);
      const uint64_t old_chunk = image.old_chunks[one];
      const uint64_t new_chunk = image.store.PeekU64(image.EntryOffset(other) + 8);
      image.SetEntry(other, old_chunk, new_chunk);
      ExpectCorrupt(image, where + "old_chunk " + std::to_string(old_chunk) + " is in an earlier",
                    image.EntryOffset(other), "old_chunk twice");

      image = MakeImage(spec, random);
      const uint64_t taken = image.store.PeekU64(image.EntryOffset(one) + 8);
      image.SetEntry(other, image.old_chunks[other], taken);
      ExpectCorrupt(image, where + "new_chunk " + std::to_string(taken) + " is in an earlier",
                    image.EntryOffset(other), "new_chunk twice");
    }
  }
}

// The second 1 MiB of an area is another read than the first.
void NamesEntriesOfLargeAreas() {
  std::mt19937_64 random(testing::Seed());
  const ImageSpec spec{.chunk_size = 2 << 20, .exceptions = 80000, .origin_chunks = 90000};
  Image image = MakeImage(spec, random);
  image.SetEntry(70000, 90000, 70002);
  ExpectCorrupt(image, "area 0, entry 70000: old_chunk 90000", image.EntryOffset(70000),
                "an entry of the second piece");
}

const testing::Suite kSuite{
    {"a header with a field out of range is refused, with the field and its value",
     RefusesDamagedHeaders},
    {"an entry out of range is refused, with its area, index, value and limit",
     RefusesDamagedEntries},
    {"the last chunk of the origin and the last of the store are in range", AcceptsTheLastChunks},
    {"a chunk that two entries name is refused at the second", RefusesRepeats},
    {"a damaged entry of an area above 1 MiB is named by its index in the area",
     NamesEntriesOfLargeAreas},
};

}  // namespace
}  // namespace lvmsync
