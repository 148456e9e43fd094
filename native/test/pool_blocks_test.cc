// Blocks of a thin pool that are written in part, against a model that keeps one flag per byte.
#include "core/io/pool_blocks.h"

#include <algorithm>
#include <random>

#include "testing.h"

namespace lvmsync {
namespace {

using testing::Expect;

constexpr uint64_t kSpan = 400;

ExtentList Model(const std::vector<Operation>& operations, const PoolStretch& stretch) {
  std::vector<bool> written(kSpan);
  for (const Operation& operation : operations) {
    for (uint64_t at = operation.offset; at < operation.offset + operation.length; at++) {
      written[at] = true;
    }
  }
  ExtentList blocks;
  for (uint64_t at = stretch.start; at < stretch.end;) {
    uint64_t end = at + 1;
    while (end < stretch.end && (end + stretch.shift) % stretch.block_size != 0) end++;
    const uint64_t first = std::max(at, stretch.bare_from);
    bool touched = false;
    bool whole = true;
    for (uint64_t byte = at; byte < end; byte++) {
      touched = touched || written[byte];
      whole = whole && (byte < first || written[byte]);
    }
    if (touched && !whole) blocks.push_back({first, end - first});
    at = end;
  }
  return blocks;
}

void AgreesWithTheModel() {
  std::mt19937_64 random(testing::Seed());
  for (int round = 0; round < 5000; round++) {
    std::vector<Operation> operations;
    for (uint64_t at = random() % 40; at < kSpan;) {
      const uint64_t length = std::min(1 + random() % 60, kSpan - at);
      operations.push_back({at, length, 0});
      at += length + random() % 3 * (random() % 50);
    }
    std::shuffle(operations.begin(), operations.end(), random);
    PoolStretch stretch{random() % 100, 0, 1 + random() % 50, random() % 500, 0};
    stretch.end = stretch.start + random() % (kSpan - stretch.start);
    if (random() % 2 == 0) stretch.bare_from = random() % kSpan;
    Expect(PartlyCovered(operations, stretch) == Model(operations, stretch), "the same blocks");
  }
}

const testing::Suite kSuite{
    {"names the blocks that are written in part, each once", AgreesWithTheModel},
};

}  // namespace
}  // namespace lvmsync
