// Where a file holds anything but zeros, against a look at its bytes.
#include "core/io/find_data.h"

#include <random>

#include "batch_media.h"
#include "core/base/slab.h"

namespace lvmsync {
namespace {

using testing::Bytes;
using testing::Expect;

constexpr uint64_t kSize = 300 * 1024 - 333;

ExtentList Model(const Bytes& content, const ExtentList& extents, uint64_t unit) {
  ExtentList data;
  for (const Extent& extent : extents) {
    const uint64_t end = extent.offset + extent.length;
    for (uint64_t at = extent.offset; at < end;) {
      const uint64_t next = unit == 0 ? end : std::min(end, (at / unit + 1) * unit);
      bool zeros = true;
      for (uint64_t byte = at; byte < next; byte++) zeros = zeros && content[byte] == std::byte{0};
      if (!zeros && !data.empty() && data.back().offset + data.back().length == at) {
        data.back().length += next - at;
      } else if (!zeros) {
        data.push_back({at, next - at});
      }
      at = next;
    }
  }
  return data;
}

void AgreesWithTheModel() {
  std::mt19937_64 random(testing::Seed());
  testing::TempFile medium(kSize);
  for (int round = 0; round < 60; round++) {
    const BlockFile file = testing::OpenFile(medium, {.direct = round % 2 == 0});
    const auto engine =
        testing::MakeEngine(round % 3 == 0 ? "threads" : "io_uring", Syscalls::Real());
    Bytes content(kSize);
    for (uint64_t i = 0; i < random() % 12; i++) content[random() % kSize] = std::byte{1};
    medium.SetContent(content);
    ExtentList extents;
    for (uint64_t at = random() % 9000; at < kSize;) {
      const uint64_t length = std::min(1 + random() % 150000, kSize - at);
      extents.push_back({at, length});
      at += length + random() % 2 * (random() % 9000);
    }
    const uint64_t units[] = {0, 4096, 64 * 1024};
    const uint64_t unit = units[random() % 3];
    const Slab slab = Slab::Allocate(64 * 1024);
    ExtentList data;
    Status status = FindData(Syscalls::Real(), *engine, file, slab.bytes(), extents, unit, &data);
    Expect(status.ok(), testing::Describe(status));
    Expect(data == Model(content, extents, unit), "the same stretches");
  }
}

const testing::Suite kSuite{
    {"finds what is no zeros, whatever the units and the room", AgreesWithTheModel},
};

}  // namespace
}  // namespace lvmsync
