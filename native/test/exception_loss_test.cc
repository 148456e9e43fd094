// Stores that lost a part, and devices that fail: refused, without a list.
#include <new>
#include <random>
#include <vector>

#include "core/store/exception_store.h"
#include "expect_corrupt.h"
#include "store_builder.h"
#include "testing.h"

namespace lvmsync {
namespace {

using testing::Expect;
using testing::ExpectCorrupt;
using testing::ExpectEqual;

constexpr uint64_t kChunk = 4096;
constexpr uint64_t kPerArea = 256;
constexpr uint64_t kExceptions = 2 * kPerArea + 44;
constexpr uint64_t kOriginChunks = 1000;

// The base of most rows: three areas, the last partly filled, behind them space with garbage.
Image MakeBase(std::mt19937_64& random) {
  return MakeImage({.chunk_size = kChunk,
                    .exceptions = kExceptions,
                    .origin_chunks = kOriginChunks,
                    .spare_chunks = 300},
                   random);
}

struct CutRow {
  const char* title;
  uint64_t size;  // bytes
  const char* fragment;
  uint64_t offset;  // that is reported
};

// Area 1 begins at chunk 258, area 2 at chunk 515. Entries name all chunks up to theirs.
const CutRow kCutRows[] = {
    {"an empty file", 0, "header: the store is only 0 bytes", 0},
    {"a file that ends in the header's fields", 15, "header: the store is only 15 bytes", 15},
    {"a file that ends behind the header's fields", 16,
     "header: chunk size of 8 sectors is more "
     "than the store's 16 bytes",
     16},
    {"a device cut in the header's chunk", 4095, "is more than the store's 4095 bytes", 4095},
    {"a device cut behind the header", 4096, "area 0: the list continues beyond the end", 4096},
    {"a device cut in area 0", 2 * kChunk - 512, "area 0: the list continues", 2 * kChunk - 512},
    {"a device cut among the data of area 0", 100 * kChunk,
     "area 0, entry 98: new_chunk 100 is not below the 100 chunks", kChunk + 98 * 16},
    {"a device cut between areas 0 and 1", 258 * kChunk, "area 1: the list continues",
     258 * kChunk},
    {"a device cut in area 1", 259 * kChunk - 512, "area 1: the list continues",
     259 * kChunk - 512},
    {"a device cut in area 2", 516 * kChunk - 4, "area 2: the list continues", 516 * kChunk - 4},
};

void RefusesCutStores() {
  std::mt19937_64 random(testing::Seed());
  for (const CutRow& row : kCutRows) {
    Image image = MakeBase(random);
    image.store.set_size(row.size);
    ExpectCorrupt(image, row.fragment, row.offset, row.title);
  }
}

void RefusesAListWithoutEnd() {
  std::mt19937_64 random(testing::Seed());
  for (const uint64_t chunk_size : {uint64_t{512}, uint64_t{4096}, uint64_t{1} << 21}) {
    const uint64_t exceptions = 3 * chunk_size / kEntryBytes;
    Image image = MakeImage(
        {.chunk_size = chunk_size, .exceptions = exceptions, .origin_chunks = exceptions}, random);
    // The empty area that ends the list would be the last chunk.
    image.store.set_size(image.store.size() - chunk_size);
    ExpectCorrupt(image, "area 3: the list continues beyond the end of the store",
                  image.store.size(), "all areas full");
  }
}

void RefusesAreasTornAtAnySector() {
  std::mt19937_64 random(testing::Seed());
  for (const uint64_t chunk_size : {uint64_t{512}, uint64_t{4096}, uint64_t{65536}}) {
    const uint64_t per_area = chunk_size / kEntryBytes;
    const uint64_t exceptions = 2 * per_area + 1;
    const ImageSpec spec{
        .chunk_size = chunk_size, .exceptions = exceptions, .origin_chunks = 2 * exceptions};
    for (uint64_t sector = 0; sector + 1 < chunk_size / kSectorBytes; sector++) {
      const uint64_t entry = sector * kSectorBytes / kEntryBytes;
      Image image = MakeImage(spec, random);
      const uint64_t at = image.EntryOffset(per_area + entry);
      image.store.Write(at, std::vector<std::byte>(kSectorBytes));
      const uint64_t next = entry + kSectorBytes / kEntryBytes;
      ExpectCorrupt(image,
                    "area 1, entry " + std::to_string(next) +
                        ": not empty, though the list ended at entry " + std::to_string(entry),
                    at + kSectorBytes, "one sector zero");
    }
    // From each sector on what was there before the area was written: garbage.
    for (uint64_t sector = 0; sector < chunk_size / kSectorBytes; sector++) {
      Image image = MakeImage(spec, random);
      const uint64_t at = image.EntryOffset(per_area) + sector * kSectorBytes;
      std::vector<std::byte> stale(chunk_size - sector * kSectorBytes);
      image.store.Peek(image.EntryOffset(2 * per_area) + chunk_size, stale);
      image.store.Write(at, stale);
      ExpectCorrupt(image, "is not below the", at, "stale from a sector on");
    }
  }
}

// What a decoder cannot see: the end of an area lost and zero. The status line's count shows it.
void LeavesAShorterListToTheCount() {
  std::mt19937_64 random(testing::Seed());
  Image image = MakeBase(random);
  const uint64_t kept = kPerArea - kSectorBytes / kEntryBytes;
  image.store.Write(image.EntryOffset(kept), std::vector<std::byte>(kSectorBytes));
  DecodedStore decoded;
  const Status status = DecodeStore(image.store, {image.origin_size, 3}, &decoded);
  Expect(status.ok(), status.detail);
  ExpectEqual(decoded.exceptions, kept, "exceptions");
  Expect(ExpectedExceptions(image.next_free * 8, 8) == kExceptions, "the status line counts more");
}

// Fails in the n-th read, and counts them.
class FailingStore : public StoreReader {
 public:
  FailingStore(MemoryStore& store, int fail_at, Status failure)
      : store_(store), fail_at_(fail_at), failure_(std::move(failure)) {}
  uint64_t size() const override { return store_.size(); }
  uint32_t alignment() const override { return store_.alignment(); }
  Status Read(std::span<const Extent> extents, std::span<std::byte> into) override {
    return ++reads_ == fail_at_ ? failure_ : store_.Read(extents, into);
  }
  int reads() const { return reads_; }

 private:
  MemoryStore& store_;
  int fail_at_;
  Status failure_;
  int reads_ = 0;
};

void PassesFailuresOn() {
  std::mt19937_64 random(testing::Seed());
  // Entries out of order make the decoder read the list twice.
  Image image = MakeImage(
      {.exceptions = kExceptions, .origin_chunks = kOriginChunks, .layout = Layout::kCompletion},
      random);
  const Status failures[] = {Status::System(EIO, "pread", 12345), Status::Cancelled(),
                             Status::UnexpectedEnd("pread", 777)};
  int reads = 1;
  for (int n = 1; n <= reads; n++) {
    for (const Status& failure : failures) {
      FailingStore none(image.store, 0, {});
      DecodedStore decoded;
      Expect(DecodeStore(none, {image.origin_size, 0}, &decoded).ok(), "decodes where none fails");
      reads = none.reads();
      FailingStore store(image.store, n, failure);
      const Status status = DecodeStore(store, {image.origin_size, 0}, &decoded);
      Expect(status.fault == failure.fault && status.error == failure.error &&
                 status.offset == failure.offset,
             "the failure of read " + std::to_string(n) + " is reported");
      Expect(decoded.extents.empty() && decoded.exceptions == 0, "nothing is decoded");
    }
  }
  ExpectEqual<uint64_t>(static_cast<uint64_t>(reads), 1 + 2 * image.areas, "header, list, list");
}

class ExhaustingStore : public FailingStore {
 public:
  using FailingStore::FailingStore;
  Status Read(std::span<const Extent> extents, std::span<std::byte> into) override {
    if (extents[0].offset > 0) throw std::bad_alloc();
    return FailingStore::Read(extents, into);
  }
};

void ReportsThatMemoryRanOut() {
  std::mt19937_64 random(testing::Seed());
  Image image = MakeBase(random);
  ExhaustingStore store(image.store, 0, {});
  DecodedStore decoded;
  const Status status = DecodeStore(store, {image.origin_size, 0}, &decoded);
  Expect(status.fault == Fault::kSystem && status.error == ENOMEM, "is reported as ENOMEM");
}

const testing::Suite kSuite{
    {"a store that was cut short is refused", RefusesCutStores},
    {"a list that has no end inside the store is refused", RefusesAListWithoutEnd},
    {"an area torn at any sector is refused", RefusesAreasTornAtAnySector},
    {"a list that lost its end is told by the count of the status line",
     LeavesAShorterListToTheCount},
    {"a failure of the n-th read is reported as it is, for every n", PassesFailuresOn},
    {"running out of memory is a failure like any other, not an exception that escapes",
     ReportsThatMemoryRanOut},
};

}  // namespace
}  // namespace lvmsync
