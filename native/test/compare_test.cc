// Where two files differ, against a look at each single byte of what is known to be in them.
#include "core/io/compare.h"

#include <random>
#include <set>
#include <string>

#include "batch_media.h"
#include "core/base/slab.h"
#include "faulty_syscalls.h"
#include "testing.h"

namespace lvmsync {
namespace {

using testing::Bytes;
using testing::Expect;
using testing::ExpectEqual;
using testing::FaultySyscalls;

constexpr uint64_t kPage = 4096;
constexpr uint64_t kSize = 1280 * 1024;
constexpr const char* kEngines[] = {"io_uring", "threads"};
// The least, one in which a request of the largest size is cut, and one in which many have room.
constexpr size_t kScratch[] = {kLeastScratch, 200 * 1024, 4 * 1024 * 1024};

std::vector<Operation> RandomOperations(std::mt19937_64& random, uint64_t size) {
  std::vector<Operation> operations;
  for (uint64_t offset = random() % 10000; offset < size;) {
    const uint64_t longest = random() % 30 == 0 ? 700 * 1024 : random() % 4 == 0 ? 40000 : 5000;
    const uint64_t length = std::min(random() % longest, size - offset);
    operations.push_back({offset, length, 0});
    // Some follow each other at once, some agree with pages.
    offset += length + (random() % 3 == 0 ? 0 : random() % 20000);
    if (random() % 3 == 0) offset = (offset + kPage - 1) / kPage * kPage;
  }
  return operations;
}

// Flips bits here and there, and all bytes of an operation, so that neighbours meet.
Bytes Changed(Bytes bytes, const std::vector<Operation>& operations, std::mt19937_64& random) {
  for (uint64_t flips = random() % 30; flips > 0; flips--) {
    bytes[random() % bytes.size()] ^= static_cast<std::byte>(1U << random() % 8);
  }
  const Operation& all = operations[random() % operations.size()];
  for (uint64_t i = 0; i < all.length; i++) bytes[all.offset + i] ^= std::byte{0x80};
  return bytes;
}

// All of an operation in a page that differs in it.
ExtentList Expected(const Bytes& a, const Bytes& b, const std::vector<Operation>& operations) {
  ExtentList list;
  for (const Operation& operation : operations) {
    const uint64_t end = operation.offset + operation.length;
    for (uint64_t at = operation.offset; at < end;) {
      const uint64_t stop = std::min(end, (at / kPage + 1) * kPage);
      bool differs = false;
      for (uint64_t i = at; i < stop; i++) differs |= a[i] != b[i];
      if (differs && !list.empty() && list.back().offset + list.back().length == at) {
        list.back().length += stop - at;
      } else if (differs) {
        list.push_back({at, stop - at});
      }
      at = stop;
    }
  }
  return list;
}

struct Setting {
  bool direct = true;
  const char* engine = "threads";
  size_t scratch = kLeastScratch;
  std::string Describe() const {
    return std::string(engine) + (direct ? ", direct, " : ", buffered, ") + std::to_string(scratch);
  }
};

Status Compare(const testing::Medium& a, const testing::Medium& b, const Setting& setting,
               const std::vector<Operation>& operations, ExtentList* different,
               const Syscalls& syscalls = Syscalls::Real()) {
  const BlockFile first = testing::OpenFile(a, {.direct = setting.direct});
  const BlockFile second = testing::OpenFile(b, {.direct = setting.direct});
  const auto engine = testing::MakeEngine(setting.engine, syscalls);
  const Slab scratch = Slab::Allocate(setting.scratch);
  const BlockFile* const files[] = {&first, &second};
  return CompareFiles(syscalls, *engine, files, scratch.bytes(), operations, different);
}

void FindsWhatDiffers(testing::Medium& a, testing::Medium& b, std::vector<bool> ways) {
  std::mt19937_64 random(testing::Seed());
  const uint64_t size = a.Content().size();
  for (int round = 0; round < 8; round++) {
    const auto operations = RandomOperations(random, size);
    const Bytes one = testing::RandomBytes(size, random);
    const Bytes other = Changed(one, operations, random);
    a.SetContent(one);
    b.SetContent(other);
    for (const bool direct : ways) {
      for (const char* engine : kEngines) {
        for (const size_t scratch : kScratch) {
          const Setting setting{direct, engine, scratch};
          ExtentList different{{7, 7}};
          Status status = Compare(a, b, setting, operations, &different);
          Expect(status.ok(), setting.Describe() + testing::Describe(status));
          Expect(different == Expected(one, other, operations), setting.Describe());
          status = Compare(a, a, setting, operations, &different);
          Expect(status.ok() && different.empty(), "a file is equal to itself");
        }
      }
    }
  }
}

void OnFiles() {
  testing::TempFile a(kSize - 333);
  testing::TempFile b(kSize - 333);
  FindsWhatDiffers(a, b, {true, false});
}

void OnDevices() {
  testing::LoopDevice a(kSize, 512);
  testing::LoopDevice b(kSize, 4096);
  // The page cache of a device knows nothing of what is written to its file.
  FindsWhatDiffers(a, b, {true});
}

void NamesTheFileThatFails() {
  std::mt19937_64 random(testing::Seed());
  testing::TempFile whole(kSize);
  testing::TempFile shorter(kSize - 10 * kPage);
  const std::vector<Operation> operations{{0, 100 * kPage, 0}, {200 * kPage, 120 * kPage, 0}};
  ExtentList different;
  for (const char* engine : kEngines) {
    const Setting setting{true, engine, 4 * 1024 * 1024};
    for (const uint8_t file : {uint8_t{0}, uint8_t{1}}) {
      const Status status = file == 1 ? Compare(whole, shorter, setting, operations, &different)
                                      : Compare(shorter, whole, setting, operations, &different);
      Expect(status.fault == Fault::kUnexpectedEnd, testing::Describe(status));
      ExpectEqual(status.file, file, "the file");
      ExpectEqual(status.offset, kSize - 10 * kPage, "where it ends");
    }
  }
}

// Each call fails once, and from then on: nothing that differs is ever called equal.
void BelievesNothingThatWasNotRead() {
  std::mt19937_64 random(testing::Seed());
  testing::TempFile a;
  testing::TempFile b;
  const Bytes one = testing::RandomBytes(200 * 1024, random);
  const std::vector<Operation> operations{
      {100, 5000, 0}, {3 * kPage, 20 * kPage, 0}, {120 * 1024 + 7, 30000, 0}};
  const Bytes other = Changed(one, operations, random);
  a.SetContent(one);
  b.SetContent(other);
  const ExtentList expected = Expected(one, other, operations);
  for (const char* engine : kEngines) {
    for (const uint64_t run : {uint64_t{1}, FaultySyscalls::kForever}) {
      bool reached = true;
      uint64_t survived = 0;
      for (uint64_t first = 1; reached; first++) {
        FaultySyscalls syscalls({"EIO", EIO}, first, run);
        ExtentList different;
        const Status status =
            Compare(a, b, {true, engine, 200 * 1024}, operations, &different, syscalls);
        reached = syscalls.injected() > 0;
        Expect(status.ok() || reached, testing::Describe(status));
        Expect(!reached || run == 1 || !status.ok(), "a failure that lasts is told");
        if (status.ok()) Expect(different == expected, "what was read is compared");
        if (status.ok() && reached) survived++;
        if (!status.ok()) ExpectEqual(status.error, EIO, testing::Describe(status));
      }
      Expect((survived > 0) == (run == 1), "one that passes is survived");
    }
  }
}

void RefusesWhatCannotBe() {
  const testing::TempFile file(kSize);
  ExtentList different;
  const auto fault_of = [&](Operation operation, size_t scratch) {
    const Setting setting{true, "threads", scratch};
    return Compare(file, file, setting, {operation}, &different).fault;
  };
  Expect(fault_of({0, 4096, 0}, kLeastScratch) == Fault::kNone, "a file and itself");
  Expect(fault_of({0, 4096, UINT64_MAX}, kLeastScratch) == Fault::kNone, "positions are ignored");
  Expect(fault_of({UINT64_MAX, 2, 0}, kLeastScratch) == Fault::kCorrupt, "an offset overflows");
  Expect(fault_of({uint64_t{1} << 63, 2, 0}, kLeastScratch) == Fault::kCorrupt, "no such offset");
  Expect(fault_of({0, 4096, 0}, kLeastScratch - 1) == Fault::kCorrupt, "too little memory");
}

const testing::Suite kSuite{
    {"every page of two files that differs is named, and nothing else", OnFiles},
    {"the same of two devices whose sectors are not of one size", OnDevices},
    {"a failure names the file", NamesTheFileThatFails},
    {"a read that fails for a while or for ever makes nothing equal",
     BelievesNothingThatWasNotRead},
    {"operations and memory that cannot be are refused", RefusesWhatCannotBe},
};

}  // namespace
}  // namespace lvmsync
