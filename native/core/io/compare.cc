#include "core/io/compare.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

namespace lvmsync {
namespace {

constexpr uint64_t kPage = 4096;
// Read from each file at once. The bytes are compared while the processor still has them in its
// caches.
constexpr size_t kTogether = 32;

void Add(uint64_t offset, uint64_t length, ExtentList* list) {
  if (!list->empty() && list->back().offset + list->back().length == offset) {
    list->back().length += length;
  } else {
    list->push_back({offset, length});
  }
}

void AddDifferentPages(const std::byte* a, const std::byte* b, const Operation& operation,
                       ExtentList* different) {
  for (uint64_t done = 0; done < operation.length;) {
    const uint64_t offset = operation.offset + done;
    const uint64_t length = std::min(kPage - offset % kPage, operation.length - done);
    if (std::memcmp(a + done, b + done, static_cast<size_t>(length)) != 0) {
      Add(offset, length, different);
    }
    done += length;
  }
}

// Collects operations as long as there is room for them, then reads and compares them.
class Comparison {
 public:
  Comparison(const Syscalls& syscalls, IoEngine& engine, std::span<const BlockFile* const, 2> files,
             std::span<std::byte> scratch, ExtentList* different)
      : syscalls_(syscalls),
        engine_(engine),
        files_(files),
        room_(scratch.size() / 2 / kPage * kPage),
        slabs_{scratch.first(room_), scratch.subspan(room_, room_)},
        different_(different) {}

  Status Add(const Operation& operation) {
    uint64_t end;
    if (__builtin_add_overflow(operation.offset, operation.length, &end)) {
      return Status::Corrupt(operation.offset, "operation lies outside the file");
    }
    for (uint64_t offset = operation.offset; offset < end;) {
      // Where an operation agrees with its place in memory nothing has to be copied.
      const uint64_t position = position_ + (offset - position_) % kPage;
      if (part_.size() == kTogether || position >= room_) {
        if (Status status = Finish(); !status.ok()) return status;
        continue;
      }
      uint64_t length = std::min({end - offset, uint64_t{kLargestRequest}, room_ - position});
      if (offset + length < end) length -= (offset + length) % kPage;
      part_.push_back({offset, length, position});
      position_ = position + length;
      offset += length;
    }
    return Status::Ok();
  }

  Status Finish() {
    Status status = ReadBoth(syscalls_, engine_, files_, slabs_, part_);
    if (!status.ok()) return status;
    for (const Operation& operation : part_) {
      const std::byte* a = slabs_[0].data() + operation.slab_position;
      const std::byte* b = slabs_[1].data() + operation.slab_position;
      // Most are equal: a look at all of it is the fastest way to say so.
      if (std::memcmp(a, b, static_cast<size_t>(operation.length)) == 0) continue;
      AddDifferentPages(a, b, operation, different_);
    }
    part_.clear();
    position_ = 0;
    return status;
  }

 private:
  const Syscalls& syscalls_;
  IoEngine& engine_;
  std::span<const BlockFile* const, 2> files_;
  uint64_t room_;
  std::array<std::span<std::byte>, 2> slabs_;
  ExtentList* different_;
  std::vector<Operation> part_;
  uint64_t position_ = 0;
};

}  // namespace

Status CompareFiles(const Syscalls& syscalls, IoEngine& engine,
                    std::span<const BlockFile* const, 2> files, std::span<std::byte> scratch,
                    std::span<const Operation> operations, ExtentList* different) {
  different->clear();
  if (scratch.size() < kLeastScratch) return Status::Corrupt(0, "too little memory to compare in");
  Comparison comparison(syscalls, engine, files, scratch, different);
  for (const Operation& operation : operations) {
    if (Status status = comparison.Add(operation); !status.ok()) return status;
  }
  return comparison.Finish();
}

}  // namespace lvmsync
