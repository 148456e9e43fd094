#include "core/store/chunk_set.h"

#include <random>
#include <set>
#include <vector>

#include "store_builder.h"
#include "testing.h"

namespace lvmsync {
namespace {

using testing::Expect;
using testing::ExpectEqual;

// Adds in stretches of random length; a repeat that Add or Seal reports.
std::optional<uint64_t> AddAll(ChunkSet& set, std::span<const uint64_t> chunks,
                               std::mt19937_64& random) {
  while (!chunks.empty()) {
    const size_t length = 1 + Below(random, chunks.size());
    if (const auto repeat = set.Add(chunks.first(length))) return repeat;
    chunks = chunks.subspan(length);
  }
  return set.Seal();
}

struct Shape {
  uint64_t count;
  uint64_t limit;
};

// Both sides of the change from list to bitmap (64 numbers of the limit for each in the set), both
// sides of the change from one way of sorting to the other (4096), word edges, and the largest.
constexpr Shape kShapes[] = {
    {0, 0},        {0, 1},          {1, 1},          {1, 64},         {1, 65},
    {64, 64},      {63, 65},        {1, 1000},       {100, 6399},     {100, 6401},
    {100, 1000},   {4095, 1 << 20}, {4096, 1 << 20}, {5000, 1 << 30}, {5000, uint64_t{1} << 54},
    {20000, 20000}};

void KeepsWhatWasAdded() {
  std::mt19937_64 random(testing::Seed());
  for (const Shape& shape : kShapes) {
    for (int round = 0; round < 20; round++) {
      std::vector<uint64_t> chunks;
      if (shape.count > 0) chunks = MakeOldChunks(shape.count, shape.limit, random);
      ChunkSet set(shape.limit);
      Expect(!AddAll(set, chunks, random), "no repeat");
      const uint64_t shortfall = Below(random, 512);
      const uint64_t size = shape.limit == 0 ? 0 : shape.limit * 512 - shortfall;
      Expect(set.ToExtents(512, size) == ExtentsOf(chunks, 512, size),
             std::to_string(shape.count) + " of " + std::to_string(shape.limit));
    }
  }
}

void NamesARepeat() {
  std::mt19937_64 random(testing::Seed());
  for (const Shape& shape : kShapes) {
    if (shape.count == 0) continue;
    for (int round = 0; round < 20; round++) {
      std::vector<uint64_t> chunks = MakeOldChunks(shape.count, shape.limit, random);
      const uint64_t repeated = chunks[Below(random, chunks.size())];
      const auto at = static_cast<std::ptrdiff_t>(Below(random, chunks.size() + 1));
      chunks.insert(chunks.begin() + at, repeated);
      ChunkSet set(shape.limit);
      const auto repeat = AddAll(set, chunks, random);
      Expect(repeat.has_value(), "a repeat is seen");
      ExpectEqual(*repeat, repeated, "the number");
    }
  }
}

void ReachesTheEndOfA64BitDevice() {
  // The end of the last chunk is 2^64, which no variable holds; the device ends a little before.
  const uint64_t chunk_size = uint64_t{1} << 30;
  const uint64_t chunks = uint64_t{1} << 34;
  ChunkSet set(chunks);
  const uint64_t last[] = {chunks - 1, chunks - 2};
  Expect(!set.Add(last) && !set.Seal(), "no repeat");
  const ExtentList extents = set.ToExtents(chunk_size, UINT64_MAX);
  Expect(extents == ExtentList{{(chunks - 2) * chunk_size, 2 * chunk_size - 1}}, "one extent");
}

const testing::Suite kSuite{
    {"a chunk set gives back what was added, as merged and clipped extents", KeepsWhatWasAdded},
    {"a chunk set names a number that was added twice", NamesARepeat},
    {"a chunk set covers a device of almost 2^64 bytes", ReachesTheEndOfA64BitDevice},
};

}  // namespace
}  // namespace lvmsync
