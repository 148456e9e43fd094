#include "core/io/pool_blocks.h"

#include <algorithm>

namespace lvmsync {
namespace {

// The parts of the stretch that the operations cover: ascending, neighbours as one.
ExtentList Covered(std::span<const Operation> operations, const PoolStretch& stretch) {
  ExtentList pieces;
  for (const Operation& operation : operations) {
    const uint64_t start = std::max(operation.offset, stretch.start);
    const uint64_t end = std::min(operation.offset + operation.length, stretch.end);
    if (start < end) pieces.push_back({start, end - start});
  }
  std::sort(pieces.begin(), pieces.end(),
            [](const Extent& a, const Extent& b) { return a.offset < b.offset; });
  ExtentList covered;
  for (const Extent& piece : pieces) {
    if (!covered.empty() && piece.offset <= covered.back().offset + covered.back().length) {
      const uint64_t end =
          std::max(covered.back().offset + covered.back().length, piece.offset + piece.length);
      covered.back().length = end - covered.back().offset;
    } else {
      covered.push_back(piece);
    }
  }
  return covered;
}

Extent BlockAt(uint64_t offset, const PoolStretch& stretch) {
  const uint64_t into = (offset + stretch.shift) % stretch.block_size;
  const uint64_t first = std::max(stretch.start, stretch.bare_from);
  const uint64_t start = into > offset ? first : std::max(first, offset - into);
  const uint64_t end = std::min(offset + (stretch.block_size - into), stretch.end);
  return {start, end - std::min(start, end)};
}

bool Covers(const ExtentList& covered, const Extent& block) {
  auto behind = std::upper_bound(
      covered.begin(), covered.end(), block.offset,
      [](uint64_t offset, const Extent& extent) { return offset < extent.offset; });
  if (behind == covered.begin()) return false;
  const Extent& extent = *--behind;
  return block.offset + block.length <= extent.offset + extent.length;
}

}  // namespace

ExtentList PartlyCovered(std::span<const Operation> operations, const PoolStretch& stretch) {
  ExtentList blocks;
  const ExtentList covered = Covered(operations, stretch);
  for (const Extent& extent : covered) {
    // Those between the first and the last are covered whole.
    for (const uint64_t place : {extent.offset, extent.offset + extent.length - 1}) {
      const Extent block = BlockAt(place, stretch);
      if (block.length == 0 || Covers(covered, block)) continue;
      if (blocks.empty() || blocks.back().offset < block.offset) blocks.push_back(block);
    }
  }
  return blocks;
}

}  // namespace lvmsync
