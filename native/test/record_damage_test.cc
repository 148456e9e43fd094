// Streams cut at every byte, and with every bit flipped: what is handed out is always right.
#include <cstdio>

#include "batch_media.h"
#include "record_streams.h"
#include "testing.h"

namespace lvmsync {
namespace {

using testing::Bytes;
using testing::Delivery;
using testing::Expect;
using testing::Form;
using testing::Group;
using testing::Outcome;
using testing::ReadStream;

struct Stream {
  std::vector<Group> groups;
  uint64_t device_size = 0;
  Bytes bytes;
  std::vector<Delivery> deliveries;  // of the undamaged stream
};

Stream Make(Form form, uint64_t bytes, uint64_t longest) {
  std::mt19937_64 random(testing::Seed());
  Stream stream;
  stream.groups = testing::RandomGroups(bytes, longest, form, random, &stream.device_size);
  stream.bytes = testing::MakeStream(stream.groups, form, stream.device_size);
  const Outcome outcome =
      ReadStream(stream.bytes, {.classic = {.device_size = stream.device_size}});
  Expect(outcome.whole(form != Form::kClassic), "the undamaged stream is whole");
  stream.deliveries = outcome.deliveries;
  return stream;
}

// Only whole groups with the right hash, the first ones of the stream.
void ExpectPrefixOfGroups(const Outcome& outcome, const Stream& stream, const std::string& what) {
  Expect(outcome.deliveries.size() <= stream.deliveries.size(), what + ": too many groups");
  for (size_t i = 0; i < outcome.deliveries.size(); i++) {
    Expect(outcome.deliveries[i].stop == Stop::kGroup, what + ": operations without a right hash");
    Expect(outcome.deliveries[i] == stream.deliveries[i], what + ": wrong content");
  }
}

void FindsEveryCut(Form form) {
  const Stream stream = Make(form, 17000, 900);
  for (size_t length = 0; length < stream.bytes.size(); length++) {
    const Bytes cut(stream.bytes.begin(),
                    stream.bytes.begin() + static_cast<std::ptrdiff_t>(length));
    const Outcome outcome = ReadStream(cut);
    const std::string what = "cut to " + std::to_string(length) + " bytes";
    Expect(!outcome.whole(true) || length == testing::kHandshake.size(), what + " is whole");
    ExpectPrefixOfGroups(outcome, stream, what);
    if (outcome.refused) {
      Expect(length < testing::kHandshake.size(), what + " is refused");
    } else if (!outcome.status.ok()) {
      Expect(outcome.status.fault == Fault::kUnexpectedEnd, what + ": the kind of fault");
      Expect(outcome.status.offset == length, what + ": the place");
      Expect(!outcome.status.detail.empty(), what + ": the reason");
    } else {
      Expect(outcome.last == Stop::kEnd && !outcome.end_frame, what + ": no end mark");
    }
  }
  std::printf("      %zu cuts\n", stream.bytes.size());
}

void FindsEveryCutThatAClassicStreamShows() {
  constexpr uint64_t kLength = 700;
  const Stream stream = Make(Form::kClassic, 20000, kLength);
  const size_t start = testing::kHandshake.size();
  for (size_t length = start; length < stream.bytes.size(); length++) {
    const Bytes cut(stream.bytes.begin(),
                    stream.bytes.begin() + static_cast<std::ptrdiff_t>(length));
    const Outcome outcome = ReadStream(cut, {.classic = {.device_size = stream.device_size}});
    const std::string what = "cut to " + std::to_string(length) + " bytes";
    const size_t records = (length - start) / (kHeaderSize + kLength);
    if ((length - start) % (kHeaderSize + kLength) == 0) {
      Expect(outcome.whole(false), what + ": ends between records");
      Expect(outcome.records == records, what + ": has the records before the cut");
    } else {
      Expect(outcome.status.fault == Fault::kUnexpectedEnd, what + ": the kind of fault");
      Expect(outcome.status.offset == length, what + ": the place");
      Expect(outcome.deliveries.empty(), what + ": a batch that is cut");
    }
  }
}

void FindsEveryFlippedBit(Form form, uint64_t payload) {
  Stream stream = Make(form, payload, 300);
  uint64_t cases = 0;
  for (size_t byte = 0; byte < stream.bytes.size(); byte++) {
    for (int bit = 0; bit < 8; bit++, cases++) {
      stream.bytes[byte] ^= static_cast<std::byte>(1 << bit);
      const Outcome outcome = ReadStream(stream.bytes);
      stream.bytes[byte] ^= static_cast<std::byte>(1 << bit);
      const std::string what = "bit " + std::to_string(bit) + " of byte " + std::to_string(byte);
      // With its first frame hidden it is a classic stream, which then has a record of no bytes.
      Expect(!outcome.whole(true), what + " is not seen");
      Expect(!outcome.status.ok() || outcome.refused || outcome.last == Stop::kBadGroup,
             what + " gives no reason");
      ExpectPrefixOfGroups(outcome, stream, what);
    }
  }
  std::printf("      %llu flips\n", static_cast<unsigned long long>(cases));
}

const testing::Suite kSuite{
    {"a sorted stream cut at any byte gives whole groups and no end",
     [] { FindsEveryCut(Form::kSorted); }},
    {"an unsorted stream cut at any byte gives whole groups and no end",
     [] { FindsEveryCut(Form::kUnsorted); }},
    {"a classic stream cut within a record is cut", FindsEveryCutThatAClassicStreamShows},
    {"any flipped bit of a sorted stream is seen",
     [] { FindsEveryFlippedBit(Form::kSorted, 11000); }},
    {"any flipped bit of an unsorted stream is seen",
     [] { FindsEveryFlippedBit(Form::kUnsorted, 1200); }},
};

}  // namespace
}  // namespace lvmsync
