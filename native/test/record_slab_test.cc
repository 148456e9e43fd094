// Where a reader puts payloads, and where a batch ends.
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

Bytes Handshake() {
  Bytes bytes;
  testing::AppendText(bytes, testing::kHandshake);
  return bytes;
}

Bytes Filled(uint64_t size, uint64_t seed) {
  std::mt19937_64 random(seed);
  return testing::RandomBytes(size, random);
}

// A record larger than the slab comes in parts, each where slab position and offset agree.
void CutsRecordsToTheSlab() {
  constexpr uint64_t kLength = 100000;
  Bytes bytes = Handshake();
  const Bytes payloads[] = {Filled(kLength, 1), Filled(kLength, 2)};
  for (uint64_t i = 0; i < 2; i++) {
    AppendHeader(bytes, 300000 * i, kLength);
    bytes.insert(bytes.end(), payloads[i].begin(), payloads[i].end());
  }
  for (const size_t slab_size : {size_t{8192}, size_t{12288}, size_t{65536}, size_t{131072}}) {
    const Outcome outcome =
        ReadStream(bytes, {.classic = {.device_size = kDevice}, .slab_size = slab_size});
    Expect(outcome.whole(false), testing::Describe(outcome.status));
    ExpectEqual<uint64_t>(outcome.records, 2, "records");
    testing::Group all;
    for (const auto& delivery : outcome.deliveries) {
      all.insert(all.end(), delivery.parts.begin(), delivery.parts.end());
    }
    Expect(testing::Joined(all) ==
               std::vector<testing::Record>{{0, payloads[0]}, {300000, payloads[1]}},
           "the bytes, in a slab of " + std::to_string(slab_size));
  }
  const Outcome outcome = ReadStream(bytes, {.classic = {.device_size = kDevice}, .slab_size = 0});
  Expect(outcome.status.fault == Fault::kCorrupt, "no slab");
  ExpectContains(outcome.status.detail, "the slab is too small");
  const testing::Group large{{0, Bytes(9000)}};
  const Outcome framed = ReadStream(
      testing::MakeStream({&large, 1}, testing::Form::kSorted, kDevice), {.slab_size = 8192});
  ExpectContains(framed.status.detail, "the slab is too small");
  Expect(framed.deliveries.empty(), "no part of a group");
}

// The writes of a batch run in no order: the second value of a place has to come in a later one.
void EndsABatchBeforeItNamesAPlaceTwice() {
  Bytes bytes = Handshake();
  AppendRecord(bytes, 0, 1000, 1);
  AppendRecord(bytes, 5000, 1000, 2);
  AppendRecord(bytes, 900, 200, 3);
  AppendRecord(bytes, 1100, 5000, 4);
  const Outcome outcome = ReadStream(bytes, {.classic = {.device_size = kDevice, .strict = false}});
  Expect(outcome.whole(false), testing::Describe(outcome.status));
  ExpectEqual<size_t>(outcome.deliveries.size(), 2, "batches");
  ExpectEqual<size_t>(outcome.deliveries[0].parts.size(), 2, "places of the first");
  ExpectEqual<uint64_t>(outcome.deliveries[1].parts.at(0).offset, 900, "the second begins");
  ExpectEqual<uint64_t>(outcome.deliveries[1].parts[0].payload.size(), 5200, "neighbours");
}

void SlabPositionsAgreeWithOffsets() {
  std::mt19937_64 random(testing::Seed());
  uint64_t device_size = 0;
  const auto groups =
      testing::RandomGroups(300000, 5000, testing::Form::kSorted, random, &device_size);
  const Bytes bytes = testing::MakeStream(groups, testing::Form::kSorted, device_size);
  const testing::MemoryInput input(bytes);
  RecordReader reader(input, testing::ReadyFd());
  std::string line;
  ReadResult result;
  Expect(reader.ReadLine(80, &line).ok() && reader.Next({}, &result).ok(), "the beginning");
  reader.BeginFramed({testing::TestStreamId(), device_size, true});
  const Slab slab = Slab::Allocate(testing::kSlabSize);
  for (size_t group = 0; group < groups.size(); group++) {
    const uint64_t start = reader.position();
    Expect(reader.Next(slab.bytes(), &result).ok() && result.stop == Stop::kGroup, "a group");
    ExpectEqual(reader.group_start(), start, "where the group starts");
    uint64_t end = 0;
    for (const Operation& operation : result.operations) {
      Expect(operation.slab_position % 4096 == operation.offset % 4096, "the place in a page");
      Expect(operation.slab_position >= end, "payloads do not overlap");
      end = operation.slab_position + operation.length;
    }
  }
}

const testing::Suite kSuite{
    {"a record larger than the slab is handed out in parts", CutsRecordsToTheSlab},
    {"a batch ends before it would name a place twice", EndsABatchBeforeItNamesAPlaceTwice},
    {"slab positions agree with offsets within a page", SlabPositionsAgreeWithOffsets},
};

}  // namespace
}  // namespace lvmsync
