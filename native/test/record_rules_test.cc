// The streams, made by hand, that a reader refuses or passes over.
#include "batch_media.h"
#include "record_streams.h"
#include "testing.h"

namespace lvmsync {
namespace {

using testing::AppendHeader;
using testing::AppendRecord;
using testing::Bytes;
using testing::Expect;
using testing::ExpectContains;
using testing::ExpectEqual;
using testing::Outcome;
using testing::ReadStream;

constexpr uint64_t kDevice = 10 << 20;

struct Place {
  uint64_t offset;
  uint64_t length;
};
using Places = std::vector<Place>;

Bytes Handshake() {
  Bytes bytes;
  testing::AppendText(bytes, testing::kHandshake);
  return bytes;
}

// A stream that a hasher would agree with, but which the writer would not write.
Bytes FramedBytes(const Places& places, bool sorted, uint64_t device_size = kDevice) {
  Bytes bytes = Handshake();
  const auto append = [&](const Bytes& more) {
    bytes.insert(bytes.end(), more.begin(), more.end());
  };
  append(EncodeFrame(kHello, testing::HelloPayload(device_size, sorted)));
  GroupHasher hasher(testing::TestStreamId());
  GroupMark mark;
  std::memcpy(mark.stream_tag.data(), testing::TestStreamId().data(), mark.stream_tag.size());
  for (const Place& place : places) {
    Bytes record;
    AppendRecord(record, place.offset, place.length);
    hasher.Update(record);
    append(record);
    mark.records++;
    mark.bytes += place.length;
  }
  mark.digest = hasher.EndGroup();
  append(EncodeGroup(mark));
  append(EncodeFrame(kEnd, Bytes(16)));
  return bytes;
}

Places Many(uint64_t count, uint64_t length, uint64_t step) {
  Places places;
  for (uint64_t i = 0; i < count; i++) places.push_back({i * step, length});
  return places;
}

struct FramedRow {
  const char* title;
  Places places;
  bool sorted;
  const char* refusal;  // nullptr: accepted
  uint64_t device_size = kDevice;
};

void ChecksFramedRecords() {
  constexpr uint64_t kMiB = 1 << 20;
  const uint64_t huge = uint64_t{1} << 62;
  const FramedRow rows[] = {
      {"up to the device's end", {{kDevice - 8, 8}}, true, nullptr},
      {"past the device's end", {{kDevice - 8, 9}}, true, "past the end of the device"},
      {"behind the device's end", {{kDevice, 1}}, true, "past the end of the device"},
      {"1 MiB", {{0, kMiB}}, true, nullptr},
      {"more than 1 MiB", {{0, kMiB + 1}}, true, "absurd length"},
      {"up to 2^53", {{kLargestOffset - 1, 1}}, true, nullptr, huge},
      {"beyond 2^53", {{kLargestOffset, 1}}, true, "absurd offset", huge},
      {"far beyond 2^53", {{UINT64_MAX - 3, 4}}, true, "absurd offset", huge},
      {"neighbours", {{0, 8}, {8, 8}}, true, nullptr},
      {"sorted, overlapping", {{0, 8}, {7, 8}}, true, "out of order"},
      {"sorted, the same", {{4, 8}, {4, 8}}, true, "out of order"},
      {"sorted, descending", {{8, 8}, {0, 8}}, true, "out of order"},
      {"unsorted, descending", {{8, 8}, {0, 8}}, false, nullptr},
      {"unsorted, overlapping", {{8, 8}, {0, 9}}, false, "a place named twice"},
      {"unsorted, within another", {{0, 100}, {50, 1}}, false, "a place named twice"},
      {"1024 records", Many(1024, 4, 8), true, nullptr},
      {"1025 records", Many(1025, 4, 8), true, "larger than the format allows"},
      {"4 MiB", Many(4, kMiB, kMiB), true, nullptr},
      {"more than 4 MiB", Many(5, kMiB - 4096, kMiB), true, "larger than the format allows"},
  };
  for (const FramedRow& row : rows) {
    const Outcome outcome = ReadStream(FramedBytes(row.places, row.sorted, row.device_size));
    const std::string what = std::string(row.title) + ": " + testing::Describe(outcome.status);
    if (row.refusal == nullptr) {
      Expect(outcome.whole(true), what + outcome.reason);
    } else {
      Expect(outcome.status.fault == Fault::kCorrupt, what);
      Expect(outcome.status.detail.find(row.refusal) != std::string::npos, what);
      Expect(outcome.deliveries.empty(), what + ": nothing is handed out");
    }
  }
}

// The group's mark is changed and its checksum made right again.
void RefusesMarksThatDoNotFit() {
  const Bytes whole = FramedBytes({{0, 100}, {4096, 100}}, true);
  struct Row {
    const char* fragment;
    void (*change)(GroupMark&);
  };
  const Row rows[] = {
      {"group 1 where group 0 was expected", [](GroupMark& mark) { mark.number = 1; }},
      {"a group of 2 records, 200 bytes that claims 3 records, 200 bytes",
       [](GroupMark& mark) { mark.records = 3; }},
      {"that claims 2 records, 201 bytes", [](GroupMark& mark) { mark.bytes = 201; }},
      {"a group of another stream", [](GroupMark& mark) { mark.stream_tag[7] ^= 1; }},
      {"the hash of group 0 does not match", [](GroupMark& mark) { mark.digest[15] ^= 1; }},
  };
  const size_t mark_size = EncodeGroup({}).size();
  const size_t end_size = EncodeFrame(kEnd, Bytes(16)).size();
  const auto at = static_cast<std::ptrdiff_t>(whole.size() - end_size - mark_size);
  for (const Row& row : rows) {
    FrameParser parser;
    for (size_t i = 0; i < mark_size; i += kHeaderSize) {
      (void)parser.Add(std::span(whole).subspan(static_cast<size_t>(at) + i, kHeaderSize));
    }
    GroupMark mark = DecodeGroup(parser.frame()).value();
    row.change(mark);
    Bytes bytes = whole;
    const Bytes changed = EncodeGroup(mark);
    std::copy(changed.begin(), changed.end(), bytes.begin() + at);
    const Outcome outcome = ReadStream(bytes);
    Expect(outcome.last == Stop::kBadGroup, row.fragment);
    ExpectContains(outcome.reason, row.fragment);
    Expect(outcome.deliveries.empty(), "nothing of a bad group is handed out");
  }
}

void RefusesFramesInWrongPlaces() {
  const Bytes hello = EncodeFrame(kHello, testing::HelloPayload(kDevice, true));
  const Bytes end = EncodeFrame(kEnd, Bytes(16));
  Bytes record;
  AppendRecord(record, 0, 100);
  const auto stream = [&](std::initializer_list<Bytes> parts) {
    Bytes bytes = Handshake();
    for (const Bytes& part : parts) bytes.insert(bytes.end(), part.begin(), part.end());
    return bytes;
  };
  const auto expect = [](const Bytes& bytes, const char* fragment) {
    const Outcome outcome = ReadStream(bytes);
    Expect(outcome.status.fault == Fault::kCorrupt, fragment);
    ExpectContains(outcome.status.detail, fragment);
    Expect(outcome.deliveries.empty(), "nothing is handed out");
  };
  expect(stream({hello, record, end}), "records that no group covers");
  const Bytes half(end.begin(), end.begin() + 3 * kHeaderSize);
  expect(stream({hello, half, record}), "a data record inside a control frame");
  Bytes word;
  AppendHeader(word, 7, 0);
  expect(stream({hello, word}), "a wrong first word");
  word.clear();
  AppendHeader(word, 65536 + kFrameMagic, 0);
  expect(stream({hello, word}), "larger than 16 bits");
  // Optional frames between groups are handed to the caller, who goes on.
  const Bytes optional = EncodeFrame(0x99, {});
  const Bytes group = FramedBytes({{0, 100}}, true);
  const Bytes rest(
      group.begin() + static_cast<std::ptrdiff_t>(testing::kHandshake.size() + hello.size()),
      group.end());
  Expect(ReadStream(stream({hello, optional, rest})).whole(true), "an optional frame");
}

struct ClassicRow {
  const char* title;
  Places places;
  const char* refusal;  // with strict checks; nullptr: accepted
  const char* forced;   // without them
  uint64_t device_size = kDevice;
};

void ChecksClassicRecords() {
  constexpr uint64_t kGiB = uint64_t{1} << 30;
  const char* absurd_length = "absurd length";
  const char* absurd_offset = "absurd offset";
  const ClassicRow rows[] = {
      {"equal lengths", {{0, 512}, {1024, 512}, {512, 512}}, nullptr, nullptr},
      {"a longer one", {{0, 512}, {1024, 1024}}, "another length", nullptr},
      {"a shorter last one", {{0, 512}, {1024, 100}}, nullptr, nullptr},
      {"a shorter one in between",
       {{0, 512}, {1024, 100}, {2048, 512}},
       "after the short",
       nullptr},
      {"two shorter ones", {{0, 512}, {1024, 100}, {2048, 100}}, "after the short", nullptr},
      {"a shorter last one at an odd place", {{0, 512}, {1000, 100}}, "not a multiple", nullptr},
      {"an odd place", {{0, 512}, {700, 512}}, "not a multiple", nullptr},
      {"an odd place at the device's end",
       {{0, 4096}, {5904, 4096}},
       "not a multiple",
       nullptr,
       10000},
      {"the short last one is the only one", {{8192, 1808}}, nullptr, nullptr, 10000},
      {"the short last one comes first",
       {{8192, 1808}, {1808, 1808}},
       "after the short",
       nullptr,
       10000},
      {"a place twice", {{0, 512}, {1024, 512}, {0, 512}}, "named twice", nullptr},
      {"no bytes", {{0, 512}, {1024, 0}}, "a record of no bytes", "a record of no bytes"},
      {"no bytes first", {{0, 0}}, "a record of no bytes", "a record of no bytes"},
      {"more than 1 GiB", {{0, kGiB + 1}}, absurd_length, absurd_length},
      {"beyond 2^53", {{kLargestOffset, 512}}, absurd_offset, absurd_offset},
      {"far beyond 2^53", {{UINT64_MAX - 511, 512}}, absurd_offset, absurd_offset},
  };
  for (const ClassicRow& row : rows) {
    Bytes bytes = Handshake();
    for (const Place& place : row.places) {
      if (place.length > kGiB) {
        AppendHeader(bytes, place.offset, place.length);
      } else {
        AppendRecord(bytes, place.offset, place.length);
      }
    }
    for (const bool strict : {true, false}) {
      const Outcome outcome =
          ReadStream(bytes, {.classic = {.device_size = row.device_size, .strict = strict}});
      const char* refusal = strict ? row.refusal : row.forced;
      const std::string what = std::string(row.title) + (strict ? "" : ", forced") + ": " +
                               testing::Describe(outcome.status);
      if (refusal == nullptr) {
        Expect(outcome.whole(false), what);
        ExpectEqual<uint64_t>(outcome.records, row.places.size(), what + ": records");
      } else {
        Expect(outcome.status.fault == Fault::kCorrupt, what);
        Expect(outcome.status.detail.find(refusal) != std::string::npos, what);
        Expect(outcome.deliveries.empty(), what + ": nothing is handed out");
      }
    }
  }
}

void DropsWhatLiesPastTheDevice() {
  Bytes bytes = Handshake();
  for (const uint64_t offset : {0U, 8192U, 16384U, 4096U}) AppendRecord(bytes, offset, 4096);
  const Outcome outcome = ReadStream(bytes, {.classic = {.device_size = 10000}});
  Expect(outcome.whole(false), testing::Describe(outcome.status));
  ExpectEqual<uint64_t>(outcome.dropped_bytes, 2288 + 4096, "dropped");
  ExpectEqual<uint64_t>(outcome.records, 4, "records");
  std::vector<testing::Record> parts;
  for (const auto& delivery : outcome.deliveries) {
    parts.insert(parts.end(), delivery.parts.begin(), delivery.parts.end());
  }
  const Bytes page(4096, std::byte{0x5a});
  Expect(parts == std::vector<testing::Record>{{0, page},
                                               {8192, Bytes(1808, std::byte{0x5a})},
                                               {4096, page}},
         "what lies on the device");
  // The part that is dropped can be cut off, too.
  bytes.resize(bytes.size() - 4096 - 2 * kHeaderSize - 4096 - 100);
  const Outcome cut = ReadStream(bytes, {.classic = {.device_size = 10000}});
  Expect(cut.status.fault == Fault::kUnexpectedEnd, testing::Describe(cut.status));
  ExpectContains(cut.status.detail, "inside a record");
}

void PassesOverCopiedFrames() {
  Bytes bytes = Handshake();
  AppendHeader(bytes, 1, 0);
  for (const uint64_t offset : {0U, 4096U}) {
    AppendRecord(bytes, offset, 1000);
    for (const uint64_t word : {0x4C56U, 0x201U, 3U}) AppendHeader(bytes, word, 0);
  }
  const ClassicRules rules{.device_size = kDevice, .strict = false, .skip_control = true};
  const Outcome outcome = ReadStream(bytes, {.classic = rules});
  Expect(outcome.whole(false), testing::Describe(outcome.status));
  ExpectEqual<uint64_t>(outcome.records, 2, "records");
}

const testing::Suite kSuite{
    {"a framed record that breaks a rule is refused, one at its limit is not", ChecksFramedRecords},
    {"a group mark that does not fit its group says how", RefusesMarksThatDoNotFit},
    {"a frame in a wrong place is refused", RefusesFramesInWrongPlaces},
    {"a classic record that no sender can have meant is refused, unless it is forced",
     ChecksClassicRecords},
    {"what lies past the end of the device is dropped and counted", DropsWhatLiesPastTheDevice},
    {"frames that an old receiver copied are passed over", PassesOverCopiedFrames},
};

}  // namespace
}  // namespace lvmsync
