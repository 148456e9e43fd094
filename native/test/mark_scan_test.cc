// Marks of a stream in files full of other things.
#include "core/stream/mark_scan.h"

#include <random>

#include "batch_media.h"
#include "faulty_syscalls.h"
#include "testing.h"

namespace lvmsync {
namespace {

using testing::Bytes;
using testing::Expect;
using testing::ExpectEqual;

using Tag = std::array<uint8_t, kStreamTagSize>;
constexpr Tag kTag{1, 2, 3, 4, 5, 6, 7, 8};
constexpr Tag kOtherTag{1, 2, 3, 4, 5, 6, 7, 9};
constexpr uint64_t kNone = GroupMark::kNoneDurable;
constexpr size_t kWindow = 4 << 20;

Bytes Mark(uint64_t durable, const Tag& tag = kTag) {
  GroupMark mark;
  mark.stream_tag = tag;
  mark.number = durable + 1;
  mark.durable_group = durable;
  return EncodeGroup(mark);
}

Bytes End(const Tag& tag = kTag, size_t size = 50) {
  Bytes payload(size);
  std::memcpy(payload.data(), tag.data(), tag.size());
  return EncodeFrame(kEnd, payload);
}

void Put(Bytes& bytes, size_t at, const Bytes& part) {
  std::copy(part.begin(), part.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
}

MarkScan Scan(const Bytes& bytes, uint64_t offset = 0,
              const Syscalls& syscalls = Syscalls::Real()) {
  testing::TempFile file;
  file.SetContent(bytes);
  MarkScan scan;
  const Status status = ScanMarks(syscalls, file.fd(), offset, kTag, &scan);
  Expect(status.ok(), testing::Describe(status));
  return scan;
}

void FindsMarksAnywhere() {
  std::mt19937_64 random(testing::Seed());
  const Bytes noise = testing::RandomBytes(3000, random);
  for (size_t at = 0; at < 100; at++) {
    for (const bool zeros : {false, true}) {
      Bytes bytes = zeros ? Bytes(noise.size()) : noise;
      Put(bytes, at, Mark(7));
      MarkScan scan = Scan(bytes);
      ExpectEqual<uint64_t>(scan.highest_durable, 7, "a mark at " + std::to_string(at));
      Expect(!scan.end_seen, "no end");
      Put(bytes, at + 900, End());
      scan = Scan(bytes);
      ExpectEqual<uint64_t>(scan.highest_durable, 7, "the mark as before");
      Expect(scan.end_seen, "an end after it");
    }
  }
}

void FindsMarksAcrossWindows() {
  const Bytes mark = Mark(7);
  for (size_t before = 0; before <= mark.size() + 12; before += 13) {
    for (const size_t windows : {size_t{1}, size_t{2}}) {
      Bytes bytes(windows * kWindow + 5000);
      Put(bytes, windows * kWindow - before, mark);
      ExpectEqual<uint64_t>(Scan(bytes).highest_durable, 7,
                            std::to_string(before) + " bytes before the end of a window");
    }
  }
}

void TakesTheHighest() {
  Bytes bytes(6000);
  Put(bytes, 10, Mark(kNone));
  ExpectEqual(Scan(bytes).highest_durable, kNone, "a mark that names no group");
  Put(bytes, 1000, Mark(9));
  Put(bytes, 2001, Mark(3));
  Put(bytes, 3002, Mark(kNone));
  ExpectEqual<uint64_t>(Scan(bytes).highest_durable, 9, "the highest");
  ExpectEqual<uint64_t>(Scan(bytes, 1001).highest_durable, 3, "from an offset on");
  ExpectEqual(Scan(bytes, 2002).highest_durable, kNone, "none is left");
  ExpectEqual(Scan(bytes, 100000).highest_durable, kNone, "behind the end");
}

void PassesOverWhatIsNoMarkOfTheStream() {
  Bytes torn = Mark(7);
  torn.pop_back();
  Bytes flipped = Mark(7);
  flipped[20 * kHeaderSize + 7] ^= std::byte{1};
  Bytes length = Mark(7);
  length[20 * kHeaderSize + 11] ^= std::byte{1};
  const Bytes rows[] = {Mark(7, kOtherTag),
                        End(kOtherTag),
                        torn,
                        flipped,
                        length,
                        EncodeFrame(kHello, Bytes(60)),
                        EncodeFrame(kEnd, Bytes(4))};
  for (const Bytes& row : rows) {
    for (const size_t at : {size_t{0}, size_t{333}}) {
      Bytes bytes(at + row.size());
      Put(bytes, at, row);
      const MarkScan scan = Scan(bytes);
      Expect(scan.highest_durable == kNone && !scan.end_seen, "no mark");
    }
  }
  // A mark right behind a torn one is found.
  Bytes bytes(torn.begin(), torn.begin() + 20 * kHeaderSize);
  const Bytes mark = Mark(4);
  bytes.insert(bytes.end(), mark.begin(), mark.end());
  ExpectEqual<uint64_t>(Scan(bytes).highest_durable, 4, "behind a torn one");
}

// Else its verdict would depend on where the frame lies, and a hostile file could be slow to scan.
void PassesOverFramesTooLongForAMark() {
  const Bytes long_end = End(kTag, 1000);
  for (const size_t at : {size_t{0}, kWindow - 600}) {
    Bytes bytes(kWindow + 100000);
    Put(bytes, at, long_end);
    Expect(!Scan(bytes).end_seen, "a long frame at " + std::to_string(at));
    Put(bytes, at, End());
    Expect(Scan(bytes).end_seen, "a short frame at " + std::to_string(at));
  }
}

void ReadsOnAndReports() {
  Bytes bytes(5 << 20);
  Put(bytes, kWindow - 100, Mark(5));
  testing::TempFile file;
  file.SetContent(bytes);
  for (uint64_t call = 1; call <= 4; call++) {
    const testing::FaultySyscalls interrupted({"EINTR", EINTR}, call, 3);
    ExpectEqual<uint64_t>(Scan(bytes, 0, interrupted).highest_durable, 5, "interrupted");
    const testing::FaultySyscalls again({"EAGAIN", EAGAIN}, call, 3);
    ExpectEqual<uint64_t>(Scan(bytes, 0, again).highest_durable, 5, "again");
    const testing::FaultySyscalls shortened({.name = "1 byte", .most = 1}, call, 3);
    ExpectEqual<uint64_t>(Scan(bytes, 0, shortened).highest_durable, 5, "short");
  }
  const testing::FaultySyscalls failing({"EIO", EIO}, 2, testing::FaultySyscalls::kForever);
  MarkScan scan;
  const Status status = ScanMarks(failing, file.fd(), 0, kTag, &scan);
  ExpectEqual(status.error, EIO, testing::Describe(status));
  Expect(failing.FailedAt(status.offset), "the place");
}

const testing::Suite kSuite{
    {"a mark is found at any alignment, among noise and zeros", FindsMarksAnywhere},
    {"a mark is found where one window ends and the next begins", FindsMarksAcrossWindows},
    {"the highest group known durable is told", TakesTheHighest},
    {"marks of other streams, torn and damaged ones are passed over",
     PassesOverWhatIsNoMarkOfTheStream},
    {"a frame too long for a mark is none, wherever it lies", PassesOverFramesTooLongForAMark},
    {"a scan survives interruptions and says where it failed", ReadsOnAndReports},
};

}  // namespace
}  // namespace lvmsync
