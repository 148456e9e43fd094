// Reads a change stream: handshake, records, control frames. Never trusts a length or an offset.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/io/batch.h"
#include "core/stream/control_frame.h"
#include "core/stream/group_hasher.h"
#include "core/stream/record_check.h"
#include "core/stream/stream_input.h"

namespace lvmsync {

// Why Next returned.
enum class Stop : uint8_t {
  kFull,      // classic only: the slab is full, or the batch as large as a group may be
  kGroup,     // framed: a whole group whose hash is right
  kBadGroup,  // framed: a group whose hash, counts or number are wrong; `reason` says which, and
              // nothing of it is handed out
  kFrame,     // any other control frame; framed or undecided streams only
  kEnd,       // the input ended: classic at a record's end, framed at a group's or another frame's
};

struct ReadResult {
  Stop stop = Stop::kEnd;
  std::vector<Operation> operations;  // payloads are in the slab; contiguous records are joined
  ExtentList discards;                // ascending; to read as zeros
  uint64_t records = 0;
  uint64_t bytes = 0;          // of payload in `operations`
  uint64_t dropped_bytes = 0;  // of payload past the device's end, since the stream began
  Frame frame;
  std::string reason;
};

// One thread at a time, except Cancel. Does not own `fd`. The order of calls is ReadLine, First,
// then either Next (which returns the HELLO) and BeginFramed, or BeginClassic, then Next until
// kEnd.
class RecordReader {
 public:
  RecordReader(const Syscalls& syscalls, int fd) : input_(syscalls, fd) {}

  // The first `count` bytes that follow, or as many as there are, without consuming them.
  Status Peek(size_t count, std::vector<std::byte>* bytes);
  // What follows comes from another descriptor, decoded by the caller; returns what was read of the
  // former one, but not consumed.
  std::vector<std::byte> SwitchTo(int fd) { return input_.SwitchTo(fd); }

  // Bytes up to and with the first '\n', at most `limit` of them or what there is before the end.
  Status ReadLine(size_t limit, std::string* line);

  enum class FirstRecord : uint8_t { kNone, kControl, kData };
  // The kind of the first record, without consuming it.
  Status First(FirstRecord* first);

  void BeginFramed(const FramedRules& rules);
  void BeginClassic(const ClassicRules& rules);

  // Fills the slab: each payload lies where slab position and offset agree modulo 4096. A slab for
  // framed streams has kLargestGroupBytes and a page for each record of a group, and one more.
  // Fault::kUnexpectedEnd where the stream is cut, Fault::kCorrupt where it contradicts itself;
  // both with the stream's byte in `offset`, and with nothing of the current batch to be used.
  Status Next(std::span<std::byte> slab, ReadResult* result);

  void Cancel() const { input_.Cancel(); }
  uint64_t position() const { return input_.position(); }
  // Where the group that Next last began starts in the stream.
  uint64_t group_start() const { return group_start_; }
  Digest total_digest() const;

 private:
  enum class Mode : uint8_t { kUndecided, kFramed, kClassic };
  struct Header {
    uint64_t offset;
    uint64_t length;
  };
  Status NextHeader(Header* header, bool* at_end);
  Status CheckRecord(const Header& header, const ReadResult& result);
  Status AddControlWord(ReadResult* result, bool* stop);
  Status TakeDiscard(ReadResult* result);
  void FinishGroup(ReadResult* result);
  void HashHeader(const Header& header);
  uint64_t WantedLength(const Header& header) const;
  bool Clashes(const Header& header, const ReadResult& result) const;
  Status PlacePayload(const Header& header, std::span<std::byte> slab, ReadResult* result,
                      bool* full);
  Status Postpone(const Header& header, ReadResult* result, bool* full);
  Status ReadPayload(std::span<std::byte> into);
  Status SkipPayload(uint64_t length);
  Status Step(std::span<std::byte> slab, ReadResult* result, bool* stop);

  StreamInput input_;
  uint64_t group_start_ = 0;
  Mode mode_ = Mode::kUndecided;
  FramedRules framed_;
  ClassicRules classic_;
  std::unique_ptr<GroupHasher> hasher_;
  FrameParser frames_;
  FramedCheck framed_check_;
  ClassicCheck classic_check_;
  std::optional<Header> pending_;  // a header whose payload did not fit, or only in part
  size_t cursor_ = 0;              // in the slab
  uint64_t dropped_ = 0;
};

}  // namespace lvmsync
