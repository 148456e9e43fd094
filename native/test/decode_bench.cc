// Prints how fast exception stores are decoded from memory: decode_bench [EXCEPTIONS]
// In CPU time, which is what one thread needs whatever else runs.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <random>
#include <vector>

#include "core/store/exception_store.h"
#include "core/store/store_geometry.h"
#include "store_builder.h"

namespace lvmsync {
namespace {

constexpr uint64_t kChunk = 4096;
constexpr int kRounds = 5;

// Holds the areas alone, one after the other, which is all that a decoder reads.
class AreasInMemory : public StoreReader {
 public:
  explicit AreasInMemory(uint64_t exceptions)
      : size_(ChunksNeeded(kChunk, exceptions) * kChunk), header_(kChunk) {}
  uint64_t size() const override { return size_; }
  uint32_t alignment() const override { return 4096; }

  void Write(uint64_t offset, std::span<const std::byte> bytes) {
    std::vector<std::byte>& to = offset == 0 ? header_ : areas_;
    const uint64_t position = Position(offset);
    to.resize(std::max<size_t>(to.size(), position + bytes.size()));
    std::memcpy(to.data() + position, bytes.data(), bytes.size());
  }

  Status Read(std::span<const Extent> extents, std::span<std::byte> into) override {
    size_t position = 0;
    for (const Extent& extent : extents) {
      const std::vector<std::byte>& from = extent.offset == 0 ? header_ : areas_;
      std::memcpy(into.data() + position, from.data() + Position(extent.offset), extent.length);
      position += extent.length;
    }
    return Status::Ok();
  }

 private:
  static uint64_t Position(uint64_t offset) {
    const uint64_t stride = kChunk / kEntryBytes + 1;
    return offset == 0 ? 0 : (offset / kChunk - kHeaderChunks) / stride * kChunk;
  }

  uint64_t size_;
  std::vector<std::byte> header_;
  std::vector<std::byte> areas_;
};

struct Load {
  const char* name;
  uint64_t origin_chunks;
  bool scattered;
};

// Chunks of 4 KiB: origins of 1 TiB and 16 TiB, which the decoder keeps in different ways.
constexpr Load kLoads[] = {
    {"scattered over 1 TiB", uint64_t{1} << 28, true},
    {"scattered over 16 TiB", uint64_t{1} << 32, true},
    {"one run in 1 TiB", uint64_t{1} << 28, false},
};

// Different numbers without a memory of those given: multiplication by an odd number is a bijection
// of the numbers below a power of two, and so is exclusive-or with the upper half.
uint64_t Scatter(uint64_t i, uint64_t limit) {
  for (int round = 0; round < 3; round++) {
    i = i * 0x9e3779b97f4a7c15 % limit;
    i ^= i >> 14;
  }
  return i;
}

void Measure(const Load& load, uint64_t exceptions) {
  AreasInMemory store(exceptions);
  StoreBuilder builder(kChunk, [&](uint64_t offset, std::span<const std::byte> bytes) {
    store.Write(offset, bytes);
  });
  for (uint64_t i = 0; i < exceptions; i++) {
    builder.Commit(load.scattered ? Scatter(i, load.origin_chunks) : i, builder.Prepare());
  }
  builder.Flush();
  double best = 1e9;
  size_t extents = 0;
  for (int round = 0; round < kRounds; round++) {
    DecodedStore decoded;
    const std::clock_t begin = std::clock();
    const Status status = DecodeStore(store, {load.origin_chunks * kChunk, UINT64_MAX}, &decoded);
    const double taken = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    if (!status.ok()) {
      std::fprintf(stderr, "%s\n", status.detail.c_str());
      std::exit(EXIT_FAILURE);
    }
    best = std::min(best, taken);
    extents = decoded.extents.size();
  }
  std::printf("%-22s %llu exceptions, %zu extents: %.3f s CPU, %.1f million a second\n", load.name,
              static_cast<unsigned long long>(exceptions), extents, best,
              static_cast<double>(exceptions) / best / 1e6);
}

}  // namespace
}  // namespace lvmsync

int main(int argc, char** argv) {
  const uint64_t exceptions = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 10'000'000;
  for (const lvmsync::Load& load : lvmsync::kLoads) lvmsync::Measure(load, exceptions);
}
