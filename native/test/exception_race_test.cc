// Stores that the kernel writes to while they are read.
#include <random>
#include <vector>

#include "core/store/exception_store.h"
#include "live_store.h"
#include "store_builder.h"
#include "testing.h"

namespace lvmsync {
namespace {

using testing::Expect;
using testing::ExpectContains;
using testing::ExpectEqual;

// The worst that the kernel may do: an area is garbage until its predecessor was read, full. The
// garbage looks like a list, as the areas of an earlier snapshot would.
class LateZeroingStore : public StoreReader {
 public:
  LateZeroingStore(Image& image, uint64_t areas_known)
      : image_(image), areas_good_(areas_known == 0 ? 1 : areas_known) {}

  uint64_t size() const override { return image_.store.size(); }
  uint32_t alignment() const override { return image_.store.alignment(); }

  Status Read(std::span<const Extent> extents, std::span<std::byte> into) override {
    if (Status status = image_.store.Read(extents, into); !status.ok()) return status;
    uint64_t seen = 0;  // areas up to the last one that this read gave as it is
    size_t position = 0;
    for (const Extent& extent : extents) {
      const auto bytes = into.subspan(position, extent.length);
      position += extent.length;
      if (extent.offset == 0) continue;  // the header
      const uint64_t chunk = extent.offset / image_.geometry.chunk_size;
      const uint64_t area = (chunk - kHeaderChunks) / image_.geometry.stride();
      if (area < areas_good_) {
        seen = area + 1;
      } else {
        FillStale(area, bytes);
      }
    }
    areas_good_ = std::max(areas_good_, seen + 1);
    return Status::Ok();
  }

 private:
  void FillStale(uint64_t area, std::span<std::byte> bytes) const {
    for (uint64_t i = 0; i < bytes.size() / kEntryBytes; i++) {
      const uint64_t entry[] = {area * 7919 + i, image_.geometry.area_chunk(area) + 1 + i};
      std::memcpy(bytes.data() + i * kEntryBytes, entry, sizeof entry);
    }
  }

  Image& image_;
  uint64_t areas_good_;
};

Image MakeLong(std::mt19937_64& random) {
  return MakeImage({.exceptions = 2600, .origin_chunks = uint64_t{1} << 30, .spare_chunks = 600},
                   random);
}

void NeverTrustsAnAreaReadTooEarly() {
  std::mt19937_64 random(testing::Seed());
  for (const uint64_t areas_known : {uint64_t{0}, uint64_t{1}, uint64_t{4}, uint64_t{11}}) {
    Image image = MakeLong(random);
    LateZeroingStore store(image, areas_known);
    DecodedStore decoded;
    const Status status = DecodeStore(store, {image.origin_size, areas_known}, &decoded);
    Expect(status.ok(), status.detail);
    ExpectEqual<uint64_t>(decoded.exceptions, 2600, "exceptions");
    Expect(decoded.extents == ExtentsOf(image.old_chunks, 4096, image.origin_size), "extents");
  }
}

// That the device of the test above does catch who reads ahead.
void TheLateZeroingStoreCatchesReadingAhead() {
  std::mt19937_64 random(testing::Seed());
  Image image = MakeLong(random);
  LateZeroingStore store(image, 4);
  DecodedStore decoded;
  const Status status = DecodeStore(store, {image.origin_size, 5}, &decoded);
  const bool right = status.ok() && decoded.exceptions == 2600 &&
                     decoded.extents == ExtentsOf(image.old_chunks, 4096, image.origin_size);
  Expect(!right, "an area that was read too early does harm");
}

void DecodesWhatWasThereWhenReadingBegan() {
  std::mt19937_64 random(testing::Seed());
  for (int round = 0; round < 300; round++) {
    const uint64_t chunk_size = uint64_t{512} << Below(random, 4);
    const uint64_t per_area = chunk_size / kEntryBytes;
    ImageSpec spec{.chunk_size = chunk_size, .exceptions = 6 * per_area + Below(random, per_area)};
    spec.origin_chunks = spec.exceptions + Below(random, 1000);
    LiveStore store(spec, Below(random, 4 * per_area), random);
    const uint64_t before = store.exceptions();
    const uint64_t areas = store.areas();
    DecodedStore decoded;
    const uint64_t origin_size = spec.origin_chunks * chunk_size;
    const Status status = DecodeStore(store, {origin_size, areas, 10}, &decoded);
    const std::string what = "round " + std::to_string(round) + ": ";
    Expect(status.ok(), what + status.detail);
    Expect(decoded.exceptions >= before && decoded.exceptions <= store.exceptions(),
           what + std::to_string(decoded.exceptions) + " exceptions, of " + std::to_string(before) +
               " before and " + std::to_string(store.exceptions()) + " after");
    std::vector<uint64_t> seen = store.old_chunks();
    seen.resize(decoded.exceptions);
    Expect(decoded.extents == ExtentsOf(seen, chunk_size, origin_size), what + "extents");
  }
}

// Gives one sector of the area as zeros in the first `torn` reads of it.
class TornStore : public StoreReader {
 public:
  TornStore(Image& image, uint32_t torn) : image_(image), torn_(torn) {}
  uint64_t size() const override { return image_.store.size(); }
  uint32_t alignment() const override { return image_.store.alignment(); }
  Status Read(std::span<const Extent> extents, std::span<std::byte> into) override {
    Status status = image_.store.Read(extents, into);
    if (extents[0].offset > 0 && torn_ > 0) {
      torn_--;
      std::memset(into.data() + kSectorBytes, 0, kSectorBytes);
    }
    return status;
  }

 private:
  Image& image_;
  uint32_t torn_;
};

void ReadsATornAreaAgain() {
  std::mt19937_64 random(testing::Seed());
  struct Row {
    uint32_t torn;
    uint32_t retries;
    bool ok;
  };
  for (const Row& row : {Row{1, 1, true}, Row{3, 3, true}, Row{1, 0, false}, Row{3, 2, false}}) {
    Image image = MakeImage({.exceptions = 200, .origin_chunks = 1000}, random);
    TornStore store(image, row.torn);
    DecodedStore decoded;
    const Status status = DecodeStore(store, {image.origin_size, 1, row.retries}, &decoded);
    const std::string what =
        std::to_string(row.torn) + " torn reads, " + std::to_string(row.retries) + " retries";
    ExpectEqual(status.ok(), row.ok, what);
    ExpectEqual<uint64_t>(decoded.exceptions, row.ok ? 200 : 0, what);
    if (!row.ok)
      ExpectContains(status.detail, "area 0, entry 64: not empty, though the list ended");
  }
}

// Changes an entry behind the decoder's back, as of the second walk over the list.
class FickleStore : public StoreReader {
 public:
  FickleStore(Image& image, uint64_t index, uint64_t old_chunk, uint64_t new_chunk)
      : image_(image), index_(index), old_chunk_(old_chunk), new_chunk_(new_chunk) {}
  uint64_t size() const override { return image_.store.size(); }
  uint32_t alignment() const override { return image_.store.alignment(); }
  Status Read(std::span<const Extent> extents, std::span<std::byte> into) override {
    // The header is read first; with one area, each further read is a walk.
    if (++reads_ == 3) image_.SetEntry(index_, old_chunk_, new_chunk_);
    return image_.store.Read(extents, into);
  }

 private:
  Image& image_;
  uint64_t index_;
  uint64_t old_chunk_;
  uint64_t new_chunk_;
  int reads_ = 0;
};

void SurvivesADeviceThatChangesItsMind() {
  std::mt19937_64 random(testing::Seed());
  const ImageSpec spec{.exceptions = 200, .origin_chunks = uint64_t{1} << 40};
  struct Row {
    const char* what;
    bool repeated_old;  // else repeated_new
    uint64_t later_new;
    const char* fragment;
  };
  const Row rows[] = {
      {"a repeat that is gone", true, 12, "in the list twice, and once when read again"},
      {"a chunk that is out of range now", false, uint64_t{1} << 60,
       "area 0, entry 10: new_chunk 1152921504606846976 is not below"},
      {"a chunk that is an area now", false, 1, "area 0, entry 10: new_chunk 1 is the place of"},
  };
  for (const Row& row : rows) {
    Image image = MakeImage(spec, random);
    if (row.repeated_old) {
      image.SetEntry(10, image.old_chunks[3], 12);
    } else {
      image.SetEntry(10, image.old_chunks[10], 5);
    }
    FickleStore store(image, 10, image.old_chunks[10], row.later_new);
    DecodedStore decoded;
    const Status status = DecodeStore(store, {image.origin_size, 1}, &decoded);
    Expect(status.fault == Fault::kCorrupt && decoded.extents.empty(), row.what);
    ExpectContains(status.detail, row.fragment);
  }
}

const testing::Suite kSuite{
    {"an area beyond the known ones is not trusted unless read after its predecessor was full",
     NeverTrustsAnAreaReadTooEarly},
    {"a decoder told of too many known areas goes wrong on a device that zeroes late",
     TheLateZeroingStoreCatchesReadingAhead},
    {"a store that grows while it is read gives all that was in it before, and nothing made up",
     DecodesWhatWasThereWhenReadingBegan},
    {"an area that looks half-written is read again as often as asked for", ReadsATornAreaAgain},
    {"entries that differ when read again are checked again", SurvivesADeviceThatChangesItsMind},
};

}  // namespace
}  // namespace lvmsync
