// Batches on files and devices whose calls all succeed, and what a batch refuses.
#include "core/io/batch.h"

#include <algorithm>
#include <array>
#include <thread>

#include "batch_media.h"
#include "core/base/slab.h"

namespace lvmsync {
namespace {

using testing::Bytes;
using testing::Expect;
using testing::ExpectEqual;

constexpr const char* kEngines[] = {"io_uring", "threads"};

// Calls the body with every medium this machine has, once for each way of opening it.
void ForEachMedium(uint64_t size, void (*body)(testing::Medium&, const OpenOptions&)) {
  testing::TempFile file(size - 777);
  body(file, {.write = true});
  body(file, {.write = true, .direct = false});
  for (const uint32_t sector : {512U, 4096U}) {
    testing::LoopDevice device(size, sector);
    body(device, {.write = true});
  }
}

Slab Filled(size_t size, std::mt19937_64& random) {
  Slab slab = Slab::Allocate(size);
  const Bytes bytes = testing::RandomBytes(size, random);
  std::copy(bytes.begin(), bytes.end(), slab.data());
  return slab;
}

// Disjoint stretches of [0, size) in random order, their places in a slab of that size now
// congruent and now not.
std::vector<Operation> RandomOperations(uint64_t size, std::mt19937_64& random) {
  std::vector<Operation> operations;
  uint64_t offset = random() % 9000;
  while (offset < size) {
    uint64_t length = 1 + random() % (random() % 4 == 0 ? 60000 : 6000);
    if (random() % 2 == 0) length = (length + 511) / 512 * 512;
    length = std::min(length, size - offset);
    operations.push_back({offset, length, 0});
    offset += length;
    if (random() % 3 != 0) offset += random() % 20000;
    if (random() % 2 == 0) offset = (offset + 511) / 512 * 512;
  }
  uint64_t position = 0;
  for (Operation& operation : operations) {
    if (random() % 3 != 0) position += (operation.offset - position) % 4096;
    operation.slab_position = position;
    position += operation.length;
  }
  std::shuffle(operations.begin(), operations.end(), random);
  return operations;
}

void ReadsAndWritesRandomBatches(testing::Medium& medium, const OpenOptions& options) {
  std::mt19937_64 random(testing::Seed());
  const BlockFile file = testing::OpenFile(medium, options);
  for (const char* name : kEngines) {
    const auto engine = testing::MakeEngine(name, Syscalls::Real());
    for (int round = 0; round < 12; round++) {
      Bytes wanted = testing::RandomBytes(medium.Content().size(), random);
      medium.SetContent(wanted);
      const auto operations = RandomOperations(wanted.size(), random);
      const Slab slab = Slab::Allocate(wanted.size() * 2 + operations.size() * 4096);
      Status status =
          RunBatch(Syscalls::Real(), *engine, file, Direction::kRead, slab.bytes(), operations);
      Expect(status.ok(), testing::Describe(status));
      for (const Operation& operation : operations) {
        Expect(std::equal(slab.data() + operation.slab_position,
                          slab.data() + operation.slab_position + operation.length,
                          wanted.data() + operation.offset),
               std::string(name) + " reads at " + std::to_string(operation.offset));
      }

      const Slab fresh = Filled(slab.size(), random);
      status =
          RunBatch(Syscalls::Real(), *engine, file, Direction::kWrite, fresh.bytes(), operations);
      Expect(status.ok() && file.Sync(Syscalls::Real()).ok(), testing::Describe(status));
      for (const Operation& operation : operations) {
        std::copy_n(fresh.data() + operation.slab_position, operation.length,
                    wanted.data() + operation.offset);
      }
      Expect(medium.Content() == wanted, std::string(name) + " writes what it was told, no more");
    }
  }
}

void NamesTheEnd(testing::Medium& medium, const OpenOptions& options) {
  const BlockFile file = testing::OpenFile(medium, options);
  uint64_t size = 0;
  Expect(file.Size(&size).ok(), "size");
  const Slab slab = Slab::Allocate(1 << 20);
  const Operation rows[] = {
      {size, 4096, size % 4096},              // begins at the end
      {size - 1, 2, 0},                       // by a byte, from an unaligned place
      {size / 4096 * 4096 - 8192, 16384, 0},  // an aligned stretch over the end
      {size - size % 512 - 512, 1024, 512},   // in sectors
      {0, size + 4096, 0},                    // everything, and more
  };
  for (const char* name : kEngines) {
    const auto engine = testing::MakeEngine(name, Syscalls::Real());
    for (const Operation& row : rows) {
      const Status status = RunBatch(Syscalls::Real(), *engine, file, Direction::kRead,
                                     slab.bytes(), std::span(&row, 1));
      const std::string what = std::string(name) + ", offset " + std::to_string(row.offset) + ": " +
                               testing::Describe(status);
      Expect(status.fault == Fault::kUnexpectedEnd, what);
      ExpectEqual(status.offset, size, what);
    }
  }
}

void AcceptsNoBytes(testing::Medium& medium, const OpenOptions& options) {
  const BlockFile file = testing::OpenFile(medium, options);
  const Slab slab = Slab::Allocate(8192);
  const std::array<Operation, 4> none{{{4096, 0, 0}, {4096, 0, 1}, {5000, 0, 0}, {0, 0, 8192}}};
  for (const char* name : kEngines) {
    const auto engine = testing::MakeEngine(name, Syscalls::Real());
    for (const Direction direction : {Direction::kRead, Direction::kWrite}) {
      const Bytes before = medium.Content();
      Status status = RunBatch(Syscalls::Real(), *engine, file, direction, slab.bytes(), none);
      Expect(status.ok(), "no bytes: " + testing::Describe(status));
      status = RunBatch(Syscalls::Real(), *engine, file, direction, slab.bytes(), {});
      Expect(status.ok(), "no operations");
      Expect(medium.Content() == before, "nothing is changed");
    }
  }
}

void RefusesWhatLiesOutside() {
  testing::TempFile medium(65536);
  const BlockFile file = testing::OpenFile(medium, {.write = true});
  const auto engine = MakeThreadEngine(Syscalls::Real());
  const Slab slab = Slab::Allocate(65536);
  const Bytes before = medium.Content();
  const Operation rows[] = {
      {0, 1, 65536},           {0, 65537, 0},
      {0, 4096, 65536 - 4095}, {0, 4096, UINT64_MAX - 4095},
      {0, UINT64_MAX, 1},      {UINT64_MAX - 100, 4096, 0},
      {INT64_MAX, 1, 0},
  };
  for (const Operation& row : rows) {
    for (const Direction direction : {Direction::kRead, Direction::kWrite}) {
      const std::array<Operation, 2> operations{{{0, 4096, 0}, row}};
      const Status status =
          RunBatch(Syscalls::Real(), *engine, file, direction, slab.bytes(), operations);
      Expect(status.fault == Fault::kCorrupt, testing::Describe(status));
      ExpectEqual(status.offset, row.offset, "the offset of the bad operation");
    }
  }
  Expect(medium.Content() == before, "a batch with a bad operation does nothing");
}

// Two batches whose operations share blocks of the device, at the same time, many times over: the
// one must not write back what it read before the other wrote.
void SharesBlocksBetweenBatches() {
  constexpr uint64_t kSize = 1 << 20;
  constexpr uint64_t kHalf = 2048;
  testing::LoopDevice device(kSize, 4096);
  std::mt19937_64 random(testing::Seed());
  const BlockFile file = testing::OpenFile(device, {.write = true});
  const auto engine = testing::MakeEngine("threads", Syscalls::Real());
  for (int round = 0; round < 8; round++) {
    const Slab slab = Filled(kSize, random);
    std::array<Status, 2> statuses;
    const auto write_half = [&](size_t which) {
      std::vector<Operation> operations;
      for (uint64_t offset = which * kHalf; offset < kSize; offset += 2 * kHalf) {
        operations.push_back({offset, kHalf, offset});
      }
      statuses[which] =
          RunBatch(Syscalls::Real(), *engine, file, Direction::kWrite, slab.bytes(), operations);
    };
    std::thread other(write_half, 1);
    write_half(0);
    other.join();
    Expect(statuses[0].ok() && statuses[1].ok(), "both batches succeed");
    Expect(file.Sync(Syscalls::Real()).ok(), "sync");
    Expect(device.Content() == Bytes(slab.data(), slab.data() + kSize), "both are on the device");
  }
}

void OnEach(void (*body)(testing::Medium&, const OpenOptions&)) { ForEachMedium(256 * 1024, body); }

const testing::Suite kSuite{
    {"a random batch is read and written to the byte, and its neighbours stay",
     [] { OnEach(ReadsAndWritesRandomBatches); }},
    {"a read past the end is an unexpected end at the file's last byte plus one",
     [] { OnEach(NamesTheEnd); }},
    {"an operation of no bytes does nothing", [] { OnEach(AcceptsNoBytes); }},
    {"an operation outside its slab or beyond 2^63 is refused before anything is done",
     RefusesWhatLiesOutside},
    {"batches that share blocks of a device keep each other's bytes", SharesBlocksBetweenBatches},
};

}  // namespace
}  // namespace lvmsync
