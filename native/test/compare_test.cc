// Where two slabs differ, against a look at each single byte.
#include "compare.h"

#include <random>
#include <set>

#include "batch_media.h"
#include "testing.h"

namespace lvmsync {
namespace {

using testing::Bytes;
using testing::Expect;

constexpr uint64_t kPage = 4096;

std::vector<Operation> RandomOperations(std::mt19937_64& random, uint64_t* slab_size) {
  std::vector<Operation> operations;
  uint64_t position = 0;
  uint64_t offset = random() % 10000;
  for (int i = 0; i < 40; i++) {
    const uint64_t length = random() % 3 == 0 ? random() % 40000 : random() % 5000;
    position += (offset - position) % kPage;
    operations.push_back({offset, length, position});
    position += length;
    // Some follow each other at once.
    offset += length + (random() % 3 == 0 ? 0 : random() % 20000);
  }
  *slab_size = position;
  return operations;
}

// Each byte that has to be in the answer: all of an operation in a page that differs in it.
std::set<uint64_t> ExpectedBytes(const Bytes& a, const Bytes& b,
                                 const std::vector<Operation>& operations) {
  std::set<uint64_t> bytes;
  for (const Operation& operation : operations) {
    std::set<uint64_t> pages;
    for (uint64_t i = 0; i < operation.length; i++) {
      const uint64_t at = operation.slab_position + i;
      if (a[at] != b[at]) pages.insert((operation.offset + i) / kPage);
    }
    for (uint64_t i = 0; i < operation.length; i++) {
      if (pages.contains((operation.offset + i) / kPage)) bytes.insert(operation.offset + i);
    }
  }
  return bytes;
}

std::set<uint64_t> BytesOf(const ExtentList& list) {
  std::set<uint64_t> bytes;
  for (const Extent& extent : list) {
    for (uint64_t i = 0; i < extent.length; i++) {
      Expect(bytes.insert(extent.offset + i).second, "no byte is named twice");
    }
  }
  return bytes;
}

void FindsWhatDiffers() {
  std::mt19937_64 random(testing::Seed());
  for (int round = 0; round < 40; round++) {
    uint64_t size = 0;
    const auto operations = RandomOperations(random, &size);
    const Bytes a = testing::RandomBytes(size, random);
    Bytes b = a;
    for (uint64_t flips = random() % 30; flips > 0; flips--) {
      b[random() % size] ^= static_cast<std::byte>(1U << random() % 8);
    }
    // Of all of some operation, so that neighbours meet.
    const Operation& all = operations[random() % operations.size()];
    for (uint64_t i = 0; i < all.length; i++) b[all.slab_position + i] ^= std::byte{0x80};
    ExtentList different{{7, 7}};
    const Status status = FindDifferences(a, b, operations, &different);
    Expect(status.ok(), testing::Describe(status));
    Expect(BytesOf(different) == ExpectedBytes(a, b, operations), "the bytes that are named");
    for (size_t i = 1; i < different.size(); i++) {
      Expect(different[i - 1].offset + different[i - 1].length < different[i].offset,
             "neighbours are one, and ascend");
    }
  }
}

void SaysNothingOfEquals() {
  std::mt19937_64 random(testing::Seed());
  uint64_t size = 0;
  const auto operations = RandomOperations(random, &size);
  const Bytes bytes = testing::RandomBytes(size, random);
  ExtentList different{{7, 7}};
  const Status status = FindDifferences(bytes, bytes, operations, &different);
  Expect(status.ok() && different.empty(), "nothing differs");
}

void RefusesWhatLiesOutside() {
  const Bytes large(8192);
  const Bytes small(4096);
  ExtentList different;
  const auto of = [&](Operation operation) {
    return FindDifferences(large, small, std::span(&operation, 1), &different).fault;
  };
  Expect(of({0, 4096, 0}) == Fault::kNone, "inside both");
  Expect(of({0, 4097, 0}) == Fault::kCorrupt, "outside the smaller one");
  Expect(of({0, 1, 4096}) == Fault::kCorrupt, "behind the smaller one");
  Expect(of({0, 2, UINT64_MAX}) == Fault::kCorrupt, "a position that overflows");
  Expect(of({UINT64_MAX, 2, 0}) == Fault::kCorrupt, "an offset that overflows");
}

const testing::Suite kSuite{
    {"every page that differs is named, and nothing else", FindsWhatDiffers},
    {"slabs that are equal have no differences", SaysNothingOfEquals},
    {"an operation outside the slabs is refused", RefusesWhatLiesOutside},
};

}  // namespace
}  // namespace lvmsync
