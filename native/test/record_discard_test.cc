// What a reader makes of DISCARD frames: whole ones are handed out with their group, everything
// else hands out nothing.
#include "batch_media.h"
#include "record_streams.h"
#include "testing.h"

namespace lvmsync {
namespace {

using testing::Bytes;
using testing::Expect;
using testing::ExpectContains;
using testing::ExpectEqual;

constexpr uint64_t kDevice = 10 << 20;

bool Same(const ExtentList& left, const ExtentList& right) {
  return std::ranges::equal(left, right, [](const Extent& a, const Extent& b) {
    return a.offset == b.offset && a.length == b.length;
  });
}

std::string Text(const ExtentList& extents) {
  std::string text;
  for (const Extent& extent : extents) {
    text += " " + std::to_string(extent.offset) + "+" + std::to_string(extent.length);
  }
  return text;
}

void Require(const Status& status) {
  if (!status.ok()) throw std::runtime_error(status.syscall + status.detail);
}

// Handshake and HELLO, one group for each list, END.
Bytes WriterStream(const std::vector<ExtentList>& lists, const testing::Group& records = {}) {
  const testing::MemoryOutput output;
  RecordWriter writer(output, testing::ReadyFd(), testing::TestStreamId());
  Require(writer.WriteRaw(std::as_bytes(std::span(testing::kHandshake))));
  Require(writer.WriteRaw(EncodeFrame(kHello, testing::HelloPayload(kDevice, false))));
  if (!records.empty()) {
    Bytes slab;
    const auto operations = testing::LayOut(records, &slab);
    Require(writer.WriteGroup(slab, operations, true, GroupMark::kNoneDurable));
  }
  for (const ExtentList& list : lists) Require(writer.WriteRaw(writer.EncodeDiscards(list)));
  Require(writer.WriteRaw(EncodeFrame(kEnd, Bytes(16))));
  return std::move(output.bytes());
}

// One group with the frames in it, under a mark that agrees with all that is there.
Bytes HandMadeStream(const std::vector<ExtentList>& frames, const Bytes& tail = {}) {
  Bytes bytes;
  const auto append = [&](const Bytes& more) {
    bytes.insert(bytes.end(), more.begin(), more.end());
  };
  testing::AppendText(bytes, testing::kHandshake);
  append(EncodeFrame(kHello, testing::HelloPayload(kDevice, false)));
  GroupHasher hasher(testing::TestStreamId());
  GroupMark mark;
  std::memcpy(mark.stream_tag.data(), testing::TestStreamId().data(), mark.stream_tag.size());
  for (const ExtentList& frame : frames) {
    Bytes payload = EncodeDiscard(frame);
    payload.insert(payload.end(), tail.begin(), tail.end());
    hasher.Update(payload);
    append(EncodeFrame(kDiscard, payload));
  }
  mark.digest = hasher.EndGroup();
  append(EncodeGroup(mark));
  append(EncodeFrame(kEnd, Bytes(16)));
  return bytes;
}

struct Seen {
  Status status;
  std::vector<ExtentList> groups;  // of discards, for each kGroup
  uint64_t bytes = 0;              // of payload, in all groups
  Stop last = Stop::kEnd;
  bool whole = false;
};

Seen Read(const Bytes& bytes, bool discards = true) {
  const testing::MemoryInput input(bytes);
  RecordReader reader(input, testing::ReadyFd());
  Seen seen;
  std::string line;
  ReadResult result;
  seen.status = reader.ReadLine(80, &line);
  if (seen.status.ok()) seen.status = reader.Next({}, &result);
  if (!seen.status.ok() || result.stop != Stop::kFrame || result.frame.type != kHello) return seen;
  FramedRules rules{testing::TestStreamId(), kDevice};
  rules.discards = discards;
  reader.BeginFramed(rules);
  static const Slab slab = Slab::Allocate(testing::kSlabSize);
  do {
    seen.status = reader.Next(slab.bytes(), &result);
    if (!seen.status.ok()) return seen;
    seen.last = result.stop;
    seen.bytes += result.bytes;
    if (result.stop == Stop::kGroup) {
      seen.groups.push_back(result.discards);
    } else {
      Expect(result.discards.empty(), "discards are handed out with a whole group only");
    }
  } while (result.stop == Stop::kGroup);
  seen.whole = result.stop == Stop::kFrame && result.frame.type == kEnd;
  return seen;
}

void ExpectGroups(const Seen& seen, const std::vector<ExtentList>& wanted) {
  Expect(seen.whole, testing::Describe(seen.status));
  ExpectEqual(seen.groups.size(), wanted.size(), "groups");
  for (size_t i = 0; i < wanted.size(); i++) {
    Expect(Same(seen.groups[i], wanted[i]), Text(seen.groups[i]) + " for" + Text(wanted[i]));
  }
}

ExtentList Many(uint64_t count) {
  ExtentList extents;
  for (uint64_t i = 0; i < count; i++) extents.push_back({4096 + i * 8192, 4096});
  return extents;
}

void ReadsWhatWasWritten() {
  const std::vector<ExtentList> lists{
      {{0, 1}},
      Many(kLargestDiscard),
      {{4 << 20, 4096}, {(4 << 20) + 4096, kDevice - (4 << 20) - 4096}}};
  ExpectGroups(Read(WriterStream(lists)), lists);
}

void ReadsThemBehindRecords() {
  const testing::Group records{{4096, Bytes(100, std::byte{1})}, {0, Bytes(5, std::byte{2})}};
  const Seen seen = Read(WriterStream({{{8192, 4096}}}, records));
  ExpectGroups(seen, {{}, {{8192, 4096}}});
  ExpectEqual<uint64_t>(seen.bytes, 105, "bytes of payload");
}

void JoinsFramesOfOneGroup() {
  ExpectGroups(Read(HandMadeStream({{{0, 8}}, {{8, 8}, {100, 1}}})), {{{0, 8}, {8, 8}, {100, 1}}});
}

struct Row {
  const char* title;
  std::vector<ExtentList> frames;
  const char* refusal;
  Bytes tail;
};

void RefusesWhatBreaksARule() {
  const Row rows[] = {
      {"no length", {{{4096, 0}}}, "a bad discard", {}},
      {"past the device's end", {{{kDevice - 4096, 4097}}}, "a bad discard", {}},
      {"behind the device's end", {{{kDevice, 1}}}, "a bad discard", {}},
      {"an end beyond 2^64", {{{4096, UINT64_MAX - 100}}}, "a bad discard", {}},
      {"an offset near 2^64", {{{UINT64_MAX, 1}}}, "a bad discard", {}},
      {"descending", {{{8192, 4096}, {0, 4096}}}, "a bad discard", {}},
      {"overlapping", {{{0, 4096}, {4095, 4096}}}, "a bad discard", {}},
      {"the same twice, in two frames", {{{0, 4096}}, {{0, 4096}}}, "a bad discard", {}},
      {"257 in one frame", {Many(kLargestDiscard + 1)}, "an unexpected discard", {}},
      {"257 in one group", {Many(kLargestDiscard), {{8 << 20, 1}}}, "larger than the format", {}},
      {"half an extent", {{{0, 4096}}}, "an unexpected discard", Bytes(8)},
  };
  for (const Row& row : rows) {
    const Seen seen = Read(HandMadeStream(row.frames, row.tail));
    Expect(seen.status.fault == Fault::kCorrupt, row.title + testing::Describe(seen.status));
    ExpectContains(seen.status.detail, row.refusal);
    Expect(seen.groups.empty(), std::string(row.title) + ": nothing is handed out");
  }
}

// Groups, too, must ascend among themselves: a later one never undoes an earlier one.
void RefusesALaterGroupThatGoesBack() {
  const Seen seen = Read(WriterStream({{{8192, 4096}}, {{4096, 4096}}}));
  Expect(seen.status.fault == Fault::kCorrupt, testing::Describe(seen.status));
  ExpectEqual<size_t>(seen.groups.size(), 1, "groups");
}

void RefusesThemWhereNoneWereAskedFor() {
  const Seen seen = Read(WriterStream({{{0, 4096}}}), false);
  Expect(seen.status.fault == Fault::kCorrupt, testing::Describe(seen.status));
  ExpectContains(seen.status.detail, "an unexpected discard");
  Expect(seen.groups.empty(), "nothing is handed out");
}

bool HandsOutOnly(const Seen& seen, const ExtentList& wanted) {
  return std::ranges::all_of(seen.groups,
                             [&](const ExtentList& group) { return Same(group, wanted); });
}

void AFlippedBitNeverMakesAnotherDiscard() {
  const ExtentList wanted{{4096, 4096}, {65536, 12288}};
  const Bytes whole = WriterStream({wanted});
  const size_t start = WriterStream({}).size() - EncodeFrame(kEnd, Bytes(16)).size();
  const size_t end = whole.size() - EncodeFrame(kEnd, Bytes(16)).size();
  for (size_t bit = start * 8; bit < end * 8; bit++) {
    Bytes bytes = whole;
    bytes[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    const Seen seen = Read(bytes);
    const std::string where = "bit " + std::to_string(bit);
    Expect(HandsOutOnly(seen, wanted), where + ": other discards");
    Expect(!seen.whole, where + ": taken for a whole stream");
  }
}

void ACutNeverMakesADiscard() {
  const ExtentList wanted{{4096, 4096}, {65536, 12288}};
  const Bytes whole = WriterStream({wanted});
  const size_t end = whole.size() - EncodeFrame(kEnd, Bytes(16)).size();
  for (size_t length = testing::kHandshake.size(); length < end; length++) {
    const Seen seen =
        Read(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)));
    const std::string where = "cut after " + std::to_string(length);
    Expect(seen.groups.empty(), where + ": discards are handed out");
    Expect(!seen.whole, where + ": taken for a whole stream");
  }
}

const testing::Suite kSuite{
    {"discards are read as they were written", ReadsWhatWasWritten},
    {"discards come behind records, which they do not count among", ReadsThemBehindRecords},
    {"a group may have several frames of discards", JoinsFramesOfOneGroup},
    {"discards that break a rule are refused", RefusesWhatBreaksARule},
    {"a later group of discards does not go back", RefusesALaterGroupThatGoesBack},
    {"discards are refused where the receiver did not say that it knows them",
     RefusesThemWhereNoneWereAskedFor},
    {"a flipped bit never makes another discard", AFlippedBitNeverMakesAnotherDiscard},
    {"a cut stream never makes a discard", ACutNeverMakesADiscard},
};

}  // namespace
}  // namespace lvmsync
