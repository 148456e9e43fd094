// Stores in good order: what the generator put in is what the decoder finds.
#include "core/store/exception_store.h"

#include <fstream>
#include <iterator>
#include <optional>
#include <random>
#include <vector>

#include "live_store.h"
#include "memory_store.h"
#include "reference_decoder.h"
#include "store_builder.h"
#include "testing.h"

namespace lvmsync {
namespace {

using testing::Expect;
using testing::ExpectEqual;

constexpr uint64_t kSmallestChunk = 512;
constexpr uint64_t kLargestGenerated = uint64_t{1} << 20;
constexpr int kGeneratedImages = 2000;

std::string Describe(const ImageSpec& spec) {
  return "chunk size " + std::to_string(spec.chunk_size) + ", " + std::to_string(spec.exceptions) +
         " exceptions, origin of " + std::to_string(spec.origin_chunks) + " chunks, seed " +
         std::to_string(testing::Seed());
}

void ExpectDecodes(Image& image, uint64_t areas_known, const std::string& what) {
  DecodedStore decoded;
  const Status status = DecodeStore(image.store, {image.origin_size, areas_known}, &decoded);
  Expect(status.ok(), what + ": " + status.detail);
  ExpectEqual<uint64_t>(decoded.chunk_size, image.geometry.chunk_size, what + ": chunk size");
  ExpectEqual<uint64_t>(decoded.exceptions, image.old_chunks.size(), what + ": exceptions");
  Expect(
      decoded.extents == ExtentsOf(image.old_chunks, image.geometry.chunk_size, image.origin_size),
      what + ": extents");
}

// Decodes in one of the ways that must all give the same.
void ExpectRoundTrip(const ImageSpec& spec, std::mt19937_64& random) {
  Image image = MakeImage(spec, random);
  const uint32_t alignments[] = {1, 512, 4096, 65536};
  image.store.set_alignment(alignments[Below(random, std::size(alignments))]);
  const uint64_t areas_known[] = {0, image.areas, UINT64_MAX};
  ExpectDecodes(image, areas_known[Below(random, std::size(areas_known))], Describe(spec));
  const uint64_t sectors = spec.chunk_size / kSectorBytes;
  const auto expected = ExpectedExceptions(image.next_free * sectors, sectors);
  Expect(expected.has_value(), Describe(spec) + ": the status line is possible");
  if (!image.has_holes) {
    ExpectEqual<uint64_t>(*expected, image.old_chunks.size(), Describe(spec) + ": by status");
  }
}

ImageSpec RandomSpec(uint64_t chunk_size, uint64_t exceptions, std::mt19937_64& random) {
  ImageSpec spec{.chunk_size = chunk_size, .exceptions = exceptions};
  const uint64_t room[] = {1, 1 + exceptions, exceptions * 200 + 1, uint64_t{1} << 40};
  spec.origin_chunks = exceptions + Below(random, room[Below(random, std::size(room))]);
  if (spec.origin_chunks == 0) spec.origin_chunks = 1;
  if (Below(random, 2) == 0) spec.origin_shortfall = Below(random, chunk_size);
  spec.spare_chunks = Below(random, 3) * Below(random, 2 * chunk_size / kEntryBytes);
  if (Below(random, 4) == 0) spec.layout = Layout::kCompletion;
  return spec;
}

void DecodesGeneratedImages() {
  std::mt19937_64 random(testing::Seed());
  int images = 0;
  for (uint64_t size = kSmallestChunk; size <= kLargestGenerated; size *= 2) {
    const uint64_t per_area = size / kEntryBytes;
    for (const uint64_t count : {uint64_t{0}, uint64_t{1}, per_area - 1, per_area, per_area + 1,
                                 2 * per_area, 3 * per_area + 7}) {
      ExpectRoundTrip(RandomSpec(size, count, random), random);
      images++;
    }
  }
  for (; images < kGeneratedImages; images++) {
    const uint64_t size = kSmallestChunk << Below(random, 12);
    const uint64_t count = Below(random, 2) == 0 ? Below(random, 5000) : Below(random, 100);
    ExpectRoundTrip(RandomSpec(size, count, random), random);
  }
}

// The area of a chunk of 512 MiB would take 33,554,432 entries; little of it must be read.
void ReadsLittleOfHugeAreas() {
  std::mt19937_64 random(testing::Seed());
  for (const uint64_t chunk_size : {uint64_t{1} << 29, uint64_t{1} << 30}) {
    const uint64_t size = 100000 * chunk_size;
    MemoryStore store(size, 1);
    store.WriteU64(0, 0x1'7041'6e53);
    store.WriteU64(8, (chunk_size / kSectorBytes) << 32 | 1);
    for (const uint64_t count :
         {uint64_t{0}, uint64_t{1}, uint64_t{65535}, uint64_t{65536}, uint64_t{70000}}) {
      const StoreGeometry geometry{chunk_size, size};
      const uint64_t area = geometry.area_offset(0);
      const std::vector<std::byte> zeros((count * kEntryBytes / (1 << 20) + 1) << 20);
      store.Write(area, zeros);
      const std::vector<uint64_t> chunks = MakeOldChunks(count, 1 << 20, random);
      for (uint64_t i = 0; i < count; i++) {
        store.WriteU64(area + i * kEntryBytes, chunks[i]);
        store.WriteU64(area + i * kEntryBytes + 8, 2 + i);
      }
      DecodedStore decoded;
      const uint64_t before = store.bytes_read();
      const uint64_t origin_size = chunk_size << 20;
      const Status status = DecodeStore(store, {origin_size, UINT64_MAX}, &decoded);
      Expect(status.ok(), status.detail);
      ExpectEqual(decoded.exceptions, count, "exceptions");
      Expect(decoded.extents == ExtentsOf(chunks, chunk_size, origin_size), "extents");
      Expect(store.bytes_read() - before <= uint64_t{5} << 20, "reads at most one batch");
    }
  }
}

// What the kernel made (Linux 6.1, LVM 2.03.16), and which offsets were found in it by the tool
// that this one follows.
void DecodesAGenuineStore() {
  const std::string folder = LVMSYNC_TEST_DATA;
  std::ifstream head(folder + "/thick-4k.cow-head", std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(head), {}};
  ExpectEqual<size_t>(bytes.size(), 8192, "size of the sample");
  std::ifstream list(folder + "/thick-4k.offsets");
  const std::vector<uint64_t> offsets{std::istream_iterator<uint64_t>(list), {}};
  ExpectEqual<size_t>(offsets.size(), 71, "offsets in the sample");

  MemoryStore store(8 << 20, 1);
  store.Write(0, std::as_bytes(std::span(bytes)));
  DecodedStore decoded;
  const Status status = DecodeStore(store, {16 << 20, 1}, &decoded);
  Expect(status.ok(), status.detail);
  ExpectEqual<uint64_t>(decoded.exceptions, 71, "exceptions");
  std::vector<uint64_t> chunks(offsets);
  for (uint64_t& chunk : chunks) chunk /= 4096;
  Expect(decoded.extents == ExtentsOf(chunks, 4096, 16 << 20), "extents");
  Expect(ExpectedExceptions(584, 8) == 71, "its status line, 584/16384 16, says the same");
}

void AgreesWithTheAllocator() {
  for (uint64_t size = 512; size <= 512 * 1024; size *= 2) {
    StoreBuilder builder(size, [](uint64_t, std::span<const std::byte>) {});
    const uint64_t per_area = size / kEntryBytes;
    const uint64_t sectors = size / kSectorBytes;
    for (uint64_t n = 0; n <= 3 * per_area + 2; n++) {
      const auto expected = ExpectedExceptions(builder.next_free() * sectors, sectors);
      Expect(expected.has_value(), "a number the kernel reports is possible");
      ExpectEqual(*expected, n, "chunk size " + std::to_string(size));
      builder.Prepare();
    }
  }
}

void RefusesImpossibleStatusLines() {
  struct Row {
    const char* what;
    uint64_t allocated_sectors;
    uint64_t chunk_sectors;
  };
  const Row rows[] = {
      {"chunk of 0 sectors", 16, 0},
      {"chunk that is no power of two", 24, 12},
      {"chunk above the limit", uint64_t{1} << 23, uint64_t{1} << 22},
      {"no whole number of chunks", 587, 8},
      {"nothing allocated", 0, 8},
      {"only the header", 8, 8},
      {"an area as the next chunk", (1 + 257) * 8, 8},
      {"another area as the next chunk", (1 + 3 * 257) * 8, 8},
  };
  for (const Row& row : rows) {
    Expect(!ExpectedExceptions(row.allocated_sectors, row.chunk_sectors), row.what);
  }
  Expect(ExpectedExceptions(16, 8) == 0, "header and area 0 are no exceptions");
  Expect(ExpectedExceptions(UINT64_MAX / 8 * 8, 8).has_value(), "the largest number");
}

const testing::Suite kSuite{
    {"a generated store decodes to what was put in, for every chunk size and area edge",
     DecodesGeneratedImages},
    {"a store with chunks of 512 MiB or 1 GiB is decoded from little of its areas",
     ReadsLittleOfHugeAreas},
    {"a store that the kernel made decodes to the offsets that are known for it",
     DecodesAGenuineStore},
    {"the count from a status line agrees with the allocator around every area edge",
     AgreesWithTheAllocator},
    {"a status line that no store can have gives no count", RefusesImpossibleStatusLines},
};

}  // namespace
}  // namespace lvmsync
