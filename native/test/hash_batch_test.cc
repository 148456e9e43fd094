// The hashes of stretches of a file or device, against hashes of the bytes that are known to be
// there.
#include <random>

#include "batch_media.h"
#include "core/base/slab.h"
#include "core/io/batch.h"

namespace lvmsync {
namespace {

using testing::Bytes;
using testing::Expect;
using testing::ExpectEqual;

constexpr const char* kEngines[] = {"io_uring", "threads"};
constexpr uint64_t kSize = 300 * 1024 - 333;

std::vector<Operation> RandomOperations(std::mt19937_64& random) {
  std::vector<Operation> operations;
  uint64_t position = 0;
  for (uint64_t offset = random() % 5000; offset < kSize;) {
    const uint64_t length = std::min(random() % 9000, kSize - offset);
    position += (offset - position) % 4096;
    operations.push_back({offset, length, position});
    position += length;
    offset += length + random() % 5000;
  }
  return operations;
}

std::vector<Digest> HashesOf(const Bytes& content, const std::vector<Operation>& operations) {
  std::vector<Digest> digests;
  for (const Operation& operation : operations) {
    digests.push_back(HashOf(std::span(content).subspan(operation.offset, operation.length)));
  }
  return digests;
}

void HashesWhatIsThere() {
  std::mt19937_64 random(testing::Seed());
  testing::TempFile medium(kSize);
  for (const bool direct : {true, false}) {
    const BlockFile file = testing::OpenFile(medium, {.direct = direct});
    for (const char* name : kEngines) {
      const auto engine = testing::MakeEngine(name, Syscalls::Real());
      Bytes content = testing::RandomBytes(kSize, random);
      medium.SetContent(content);
      const auto operations = RandomOperations(random);
      const Slab slab = Slab::Allocate(2 * kSize + operations.size() * 4096);
      std::vector<Digest> digests(operations.size());
      Status status = HashBatch(Syscalls::Real(), *engine, file, slab.bytes(), operations, digests);
      Expect(status.ok(), testing::Describe(status));
      Expect(digests == HashesOf(content, operations), std::string(name) + ": each hash is right");

      // One bit, in an operation that holds any.
      size_t which = random() % operations.size();
      while (operations[which].length == 0) which = (which + 1) % operations.size();
      const uint64_t at = operations[which].offset + random() % operations[which].length;
      content[at] ^= static_cast<std::byte>(1U << random() % 8);
      medium.SetContent(content);
      const std::vector<Digest> before = digests;
      status = HashBatch(Syscalls::Real(), *engine, file, slab.bytes(), operations, digests);
      Expect(status.ok(), testing::Describe(status));
      for (size_t i = 0; i < digests.size(); i++) {
        ExpectEqual(digests[i] != before[i], i == which, "only the hash over the flipped bit");
      }
    }
  }
}

void KnowsTheHashOfNothing() {
  // As xxhsum -H2 prints it.
  const Digest empty{0x99, 0xaa, 0x06, 0xd3, 0x01, 0x47, 0x98, 0xd8,
                     0x60, 0x01, 0xc3, 0x24, 0x46, 0x8d, 0x49, 0x7f};
  Expect(HashOf({}) == empty, "the hash of no bytes");
}

void FailsAsTheReadDoes() {
  testing::TempFile medium(8192);
  const BlockFile file = testing::OpenFile(medium, {});
  const auto engine = MakeThreadEngine(Syscalls::Real());
  const Slab slab = Slab::Allocate(65536);
  std::vector<Digest> digests(1);
  const Operation beyond{4096, 8192, 4096};
  Status status =
      HashBatch(Syscalls::Real(), *engine, file, slab.bytes(), std::span(&beyond, 1), digests);
  Expect(status.fault == Fault::kUnexpectedEnd, testing::Describe(status));
  const Operation outside{0, 4096, 65536};
  status =
      HashBatch(Syscalls::Real(), *engine, file, slab.bytes(), std::span(&outside, 1), digests);
  Expect(status.fault == Fault::kCorrupt, testing::Describe(status));
}

const testing::Suite kSuite{
    {"each operation has the hash of its bytes, and one flipped bit changes that hash only",
     HashesWhatIsThere},
    {"the hash is XXH3-128 in canonical form", KnowsTheHashOfNothing},
    {"a read that fails gives no hashes", FailsAsTheReadDoes},
};

}  // namespace
}  // namespace lvmsync
