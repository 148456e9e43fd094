#include "compare.h"

#include <algorithm>
#include <cstring>

namespace lvmsync {
namespace {

constexpr uint64_t kPage = 4096;

void Add(uint64_t offset, uint64_t length, ExtentList* list) {
  if (!list->empty() && list->back().offset + list->back().length == offset) {
    list->back().length += length;
  } else {
    list->push_back({offset, length});
  }
}

void FindPages(const std::byte* a, const std::byte* b, const Operation& operation,
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

}  // namespace

Status FindDifferences(std::span<const std::byte> a, std::span<const std::byte> b,
                       std::span<const Operation> operations, ExtentList* different) {
  different->clear();
  const size_t room = std::min(a.size(), b.size());
  for (const Operation& operation : operations) {
    uint64_t end;
    uint64_t device_end;
    if (__builtin_add_overflow(operation.slab_position, operation.length, &end) || end > room ||
        __builtin_add_overflow(operation.offset, operation.length, &device_end)) {
      return Status::Corrupt(operation.offset, "operation lies outside its slab or the file");
    }
    const auto position = static_cast<size_t>(operation.slab_position);
    const auto length = static_cast<size_t>(operation.length);
    // Most are equal: a look at all of it is the fastest way to say so.
    if (std::memcmp(a.data() + position, b.data() + position, length) == 0) continue;
    FindPages(a.data() + position, b.data() + position, operation, different);
  }
  return Status::Ok();
}

}  // namespace lvmsync
