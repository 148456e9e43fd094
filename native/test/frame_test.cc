// Control frames: what is encoded is parsed, and nothing else is.
#include <random>

#include "batch_media.h"
#include "core/base/big_endian.h"
#include "core/stream/control_frame.h"
#include "core/stream/crc32c.h"
#include "testing.h"

namespace lvmsync {
namespace {

using testing::Bytes;
using testing::Expect;
using testing::ExpectEqual;
using Progress = FrameParser::Progress;

// Feeds words until the parser has an opinion; kMore if it is never reached.
Progress Parse(FrameParser& parser, std::span<const std::byte> raw) {
  Progress progress = Progress::kMore;
  for (; raw.size() >= kHeaderSize && progress == Progress::kMore; raw = raw.subspan(kHeaderSize)) {
    progress = parser.Add(raw.first(kHeaderSize));
  }
  if (progress == Progress::kWhole && !raw.empty()) return Progress::kBad;
  return progress;
}

void RoundTrips() {
  std::mt19937_64 random(testing::Seed());
  FrameParser parser;
  for (const size_t size : {0U, 1U, 2U, 3U, 51U, 52U, 8191U, 8192U}) {
    for (int round = 0; round < 10; round++) {
      Bytes payload = testing::RandomBytes(size, random);
      const auto type = static_cast<uint8_t>(random());
      const Bytes raw = EncodeFrame(type, payload);
      ExpectEqual(raw.size(), ((size + 1) / 2 + 5) * kHeaderSize, "raw size");
      Expect(Parse(parser, raw) == Progress::kWhole, "a frame of " + std::to_string(size));
      Expect(!parser.in_frame(), "the next one may follow");
      payload.resize((size + 1) / 2 * 2);
      Expect(parser.frame().payload == payload, "the payload");
      Expect(parser.frame().type == type && parser.frame().version == kFrameVersion, "the type");
    }
  }
}

// Any reader of the original's form passes over a frame: no lengths, and no offset past 64 KiB.
void LooksLikeRecordsOfNoBytes() {
  std::mt19937_64 random(testing::Seed());
  const Bytes raw = EncodeFrame(7, testing::RandomBytes(999, random));
  for (size_t at = 0; at < raw.size(); at += kHeaderSize) {
    ExpectEqual<uint32_t>(load_be32(raw.data() + at + 8), 0, "length");
    Expect(load_be64(raw.data() + at) <= UINT16_MAX, "offset");
  }
}

void SeesEveryFlippedBit() {
  std::mt19937_64 random(testing::Seed());
  for (const size_t size : {0U, 1U, 52U, 300U}) {
    Bytes raw = EncodeFrame(kGroup, testing::RandomBytes(size, random));
    for (size_t bit = 0; bit < raw.size() * 8; bit++) {
      // The length of a word is the reader's to look at: not zero, it is no word.
      if (bit / 8 % kHeaderSize >= 8) continue;
      raw[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
      FrameParser parser;
      const Progress progress = Parse(parser, raw);
      raw[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
      Expect(progress != Progress::kWhole, "bit " + std::to_string(bit) + " is not seen");
      Expect(progress == Progress::kMore || *parser.reason() != '\0', "a reason");
    }
  }
}

void BoundsTheLength() {
  const auto words = [](uint16_t count) {
    Bytes raw = EncodeFrame(kHello, {});
    store_be16(raw.data() + 2 * kHeaderSize + 6, count);
    raw.resize(3 * kHeaderSize);
    return raw;
  };
  FrameParser longest;
  Expect(Parse(longest, words(kMaxPayloadWords)) == Progress::kMore, "the longest");
  FrameParser longer;
  Expect(Parse(longer, words(kMaxPayloadWords + 1)) == Progress::kBad, "a longer one");
  testing::ExpectContains(longer.reason(), "too long");
}

void GroupMarksRoundTrip() {
  std::mt19937_64 random(testing::Seed());
  for (int round = 0; round < 50; round++) {
    GroupMark mark;
    for (uint8_t& byte : mark.stream_tag) byte = static_cast<uint8_t>(random());
    for (uint8_t& byte : mark.digest) byte = static_cast<uint8_t>(random());
    mark.number = random();
    mark.records = static_cast<uint32_t>(random());
    mark.bytes = random();
    if (round % 2 == 0) mark.durable_group = random();
    FrameParser parser;
    Expect(Parse(parser, EncodeGroup(mark)) == Progress::kWhole, "a mark");
    const auto decoded = DecodeGroup(parser.frame());
    Expect(decoded && decoded->stream_tag == mark.stream_tag && decoded->digest == mark.digest &&
               decoded->number == mark.number && decoded->records == mark.records &&
               decoded->bytes == mark.bytes && decoded->durable_group == mark.durable_group,
           "every field");
    Frame other = parser.frame();
    other.version++;
    Expect(!DecodeGroup(other), "another version is no mark");
    other = parser.frame();
    other.type = kEnd;
    Expect(!DecodeGroup(other), "another type is no mark");
    other = parser.frame();
    other.payload.resize(other.payload.size() + 2);
    Expect(!DecodeGroup(other), "another size is no mark");
  }
}

void KnowsTheCheckValue() {
  const std::string digits = "123456789";
  ExpectEqual<uint32_t>(Crc32c(std::as_bytes(std::span(digits))), 0xe3069283, "CRC-32C");
  ExpectEqual<uint32_t>(Crc32c({}), 0, "of nothing");
  ExpectEqual<uint32_t>(Crc32c(Bytes(32)), 0x8a9136aa, "of 32 zeros");
}

const testing::Suite kSuite{
    {"a frame of any payload comes back, an odd one with a zero byte", RoundTrips},
    {"a frame is made of records of no bytes", LooksLikeRecordsOfNoBytes},
    {"any flipped bit of a frame is seen", SeesEveryFlippedBit},
    {"a frame longer than the format allows is refused before it is collected", BoundsTheLength},
    {"a group mark comes back, and only a group mark is one", GroupMarksRoundTrip},
    {"CRC-32C has its published values", KnowsTheCheckValue},
};

}  // namespace
}  // namespace lvmsync
