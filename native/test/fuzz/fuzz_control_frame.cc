// Any bytes as control words: what the parser takes for a frame is what the encoder makes of it.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <span>

#include "core/base/big_endian.h"
#include "core/stream/control_frame.h"

namespace {

using lvmsync::FrameParser;
using lvmsync::kHeaderSize;

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "violated: %s\n", what);
  std::abort();
}

void RequireSound(const lvmsync::Frame& frame, std::span<const std::byte> raw) {
  Require(frame.payload.size() <= lvmsync::kMaxPayloadWords * 2, "the payload is bounded");
  Require(frame.payload.size() % 2 == 0, "the payload is made of words");
  if (frame.version == lvmsync::kFrameVersion) {
    const auto again = lvmsync::EncodeFrame(frame.type, frame.payload);
    Require(std::equal(again.begin(), again.end(), raw.begin(), raw.end()), "encodes to its bytes");
  }
  if (const auto mark = lvmsync::DecodeGroup(frame)) {
    const auto again = lvmsync::EncodeGroup(*mark);
    Require(std::equal(again.begin(), again.end(), raw.begin(), raw.end()), "so does its mark");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  FrameParser parser;
  size_t start = 0;
  for (size_t at = 0; at + kHeaderSize <= size; at += kHeaderSize) {
    const auto header = bytes.subspan(at, kHeaderSize);
    // The reader hands on records of no bytes only.
    if (lvmsync::load_be32(header.data() + 8) != 0) return 0;
    const FrameParser::Progress progress = parser.Add(header);
    if (progress == FrameParser::Progress::kBad) {
      Require(*parser.reason() != '\0', "says what is wrong");
      return 0;
    }
    Require(parser.in_frame() == (progress == FrameParser::Progress::kMore), "knows where it is");
    if (progress == FrameParser::Progress::kMore) continue;
    RequireSound(parser.frame(), bytes.subspan(start, at + kHeaderSize - start));
    start = at + kHeaderSize;
  }
  return 0;
}
