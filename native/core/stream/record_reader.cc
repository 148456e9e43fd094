#include "core/stream/record_reader.h"

#include <algorithm>

#include "core/base/big_endian.h"

namespace lvmsync {
namespace {

constexpr uint64_t kPage = 4096;

std::string Describe(const char* what, uint64_t offset, uint64_t length) {
  return std::string(what) + " (offset " + std::to_string(offset) + ", length " +
         std::to_string(length) + ")";
}

// Whether something was taken that only a GROUP frame can confirm. Classic streams have no groups.
bool GroupIsOpen(const ReadResult& result, bool framed) {
  return framed && (result.records > 0 || !result.discards.empty());
}

Status Cut(uint64_t position, std::string where) {
  Status status = Status::UnexpectedEnd("read", position);
  status.detail = std::move(where);
  return status;
}

// Appends it, or lengthens the last one, where that ends at the same place in device and slab.
void AddOperation(const Operation& next, std::vector<Operation>* operations) {
  if (!operations->empty()) {
    Operation& last = operations->back();
    if (last.offset + last.length == next.offset &&
        last.slab_position + last.length == next.slab_position) {
      last.length += next.length;
      return;
    }
  }
  operations->push_back(next);
}

}  // namespace

Status RecordReader::Peek(size_t count, std::vector<std::byte>* bytes) {
  bool at_end = false;
  if (Status status = input_.Need(count, &at_end); !status.ok()) return status;
  const auto seen = input_.buffered().first(std::min(count, input_.buffered().size()));
  bytes->assign(seen.begin(), seen.end());
  return Status::Ok();
}

Status RecordReader::ReadLine(size_t limit, std::string* line) {
  line->clear();
  bool at_end = false;
  while (line->size() < limit && !at_end) {
    if (Status status = input_.Need(1, &at_end); !status.ok()) return status;
    if (at_end) break;
    const char next = static_cast<char>(input_.buffered()[0]);
    input_.Take(1);
    line->push_back(next);
    if (next == '\n') break;
  }
  return Status::Ok();
}

Status RecordReader::First(FirstRecord* first) {
  bool at_end = false;
  if (Status status = input_.Need(kHeaderSize, &at_end); !status.ok()) return status;
  *first = FirstRecord::kData;
  if (input_.buffered().empty()) *first = FirstRecord::kNone;
  if (input_.buffered().size() >= kHeaderSize && load_be32(input_.buffered().data() + 8) == 0 &&
      load_be64(input_.buffered().data()) == kFrameMagic) {
    *first = FirstRecord::kControl;
  }
  return Status::Ok();
}

void RecordReader::BeginFramed(const FramedRules& rules) {
  mode_ = Mode::kFramed;
  framed_ = rules;
  framed_check_ = FramedCheck(rules);
  hasher_ = std::make_unique<GroupHasher>(rules.stream_id);
}

void RecordReader::BeginClassic(const ClassicRules& rules) {
  mode_ = Mode::kClassic;
  classic_ = rules;
  classic_check_ = ClassicCheck(rules);
}

Digest RecordReader::total_digest() const { return hasher_ ? hasher_->Total() : Digest{}; }

Status RecordReader::Next(std::span<std::byte> slab, ReadResult* result) {
  *result = {};
  cursor_ = 0;
  group_start_ = position();
  bool stop = false;
  while (!stop) {
    if (Status status = Step(slab, result, &stop); !status.ok()) {
      result->operations.clear();
      return status;
    }
  }
  result->dropped_bytes = dropped_;
  return Status::Ok();
}

// Takes one record or control word.
Status RecordReader::Step(std::span<std::byte> slab, ReadResult* result, bool* stop) {
  Header header{};
  if (pending_) {
    header = *pending_;
    pending_.reset();
  } else {
    bool at_end = false;
    if (Status status = NextHeader(&header, &at_end); !status.ok()) return status;
    if (at_end) {
      // No mark says that these records are right.
      if (GroupIsOpen(*result, mode_ == Mode::kFramed)) return Cut(position(), "inside a group");
      result->stop = Stop::kEnd;
      *stop = true;
      return Status::Ok();
    }
    if (header.length == 0 && mode_ != Mode::kClassic) return AddControlWord(result, stop);
    if (Status status = CheckRecord(header, *result); !status.ok()) return status;
    input_.Take(kHeaderSize);
    if (header.length == 0) return Status::Ok();
    result->records++;
  }
  return PlacePayload(header, slab, result, stop);
}

// Looks at the next header without taking it.
Status RecordReader::NextHeader(Header* header, bool* at_end) {
  if (Status status = input_.Need(kHeaderSize, at_end); !status.ok()) return status;
  const size_t have = input_.buffered().size();
  if (have == 0 && !frames_.in_frame()) return Status::Ok();
  if (have < kHeaderSize) {
    return Cut(position() + have,
               frames_.in_frame() && have == 0
                   ? "inside a control frame"
                   : "inside a record header, " + std::to_string(have) + " of 12 bytes");
  }
  *at_end = false;
  *header = {load_be64(input_.buffered().data()), load_be32(input_.buffered().data() + 8)};
  if (header->length > 0 && frames_.in_frame()) {
    return Status::Corrupt(position(), "a data record inside a control frame");
  }
  return Status::Ok();
}

Status RecordReader::CheckRecord(const Header& header, const ReadResult& result) {
  const Extent place{header.offset, header.length};
  const char* fault = mode_ == Mode::kClassic
                          ? classic_check_.NextRecord(place)
                          : framed_check_.NextRecord(place, result.records, result.bytes);
  if (fault == nullptr) return Status::Ok();
  return Status::Corrupt(position(), Describe(fault, header.offset, header.length));
}

Status RecordReader::AddControlWord(ReadResult* result, bool* stop) {
  const FrameParser::Progress progress = frames_.Add(input_.buffered().first(kHeaderSize));
  if (progress == FrameParser::Progress::kBad) return Status::Corrupt(position(), frames_.reason());
  input_.Take(kHeaderSize);
  if (progress == FrameParser::Progress::kMore) return Status::Ok();
  result->frame = std::move(frames_.frame());
  if (mode_ == Mode::kFramed && result->frame.type == kDiscard) return TakeDiscard(result);
  *stop = true;
  result->stop = Stop::kFrame;
  if (mode_ == Mode::kFramed && result->frame.type == kGroup) {
    FinishGroup(result);
    if (result->stop == Stop::kBadGroup) {
      result->operations.clear();
      result->discards.clear();
      result->bytes = 0;
    }
  } else if (GroupIsOpen(*result, mode_ == Mode::kFramed)) {
    return Status::Corrupt(position(), "records that no group covers");
  }
  return Status::Ok();
}

// Discards come behind the data; the sender names no place in both.
Status RecordReader::TakeDiscard(ReadResult* result) {
  const std::optional<ExtentList> extents = DecodeDiscard(result->frame);
  if (!framed_.discards || !extents) return Status::Corrupt(position(), "an unexpected discard");
  hasher_->Update(result->frame.payload);
  for (const Extent& extent : *extents) {
    if (!framed_check_.NextDiscard(extent)) {
      return Status::Corrupt(position(), Describe("a bad discard", extent.offset, extent.length));
    }
    result->discards.push_back(extent);
  }
  if (result->discards.size() > kLargestDiscard) {
    return Status::Corrupt(position(), "a group larger than the format allows");
  }
  return Status::Ok();
}

void RecordReader::FinishGroup(ReadResult* result) {
  GroupMark wanted;
  std::copy_n(framed_.stream_id.begin(), kStreamTagSize, wanted.stream_tag.begin());
  wanted.number = hasher_->group_number();
  wanted.records = static_cast<uint32_t>(result->records);
  wanted.bytes = result->bytes;
  wanted.digest = hasher_->EndGroup();
  const std::optional<GroupMark> mark = DecodeGroup(result->frame);
  result->reason = mark ? FaultOfGroup(*mark, wanted) : "a group mark of unknown form";
  result->stop = result->reason.empty() ? Stop::kGroup : Stop::kBadGroup;
}

void RecordReader::HashHeader(const Header& header) {
  std::array<std::byte, kHeaderSize> raw;
  store_be64(raw.data(), header.offset);
  store_be32(raw.data() + 8, static_cast<uint32_t>(header.length));
  hasher_->Update(raw);
}

// How much of the record the device has room for.
uint64_t RecordReader::WantedLength(const Header& header) const {
  if (mode_ == Mode::kFramed) return header.length;
  const uint64_t size = classic_.device_size;
  return header.offset >= size ? 0 : std::min(header.length, size - header.offset);
}

// Without strict checks a stream may name a place twice. The writes of a batch run in no order.
bool RecordReader::Clashes(const Header& header, const ReadResult& result) const {
  if (mode_ == Mode::kFramed || classic_.strict) return false;
  return std::any_of(result.operations.begin(), result.operations.end(),
                     [&](const Operation& other) {
                       return header.offset < other.offset + other.length &&
                              other.offset < header.offset + header.length;
                     });
}

// Puts the payload, or as much of it as fits, into the slab. The rest stays pending.
Status RecordReader::PlacePayload(const Header& header, std::span<std::byte> slab,
                                  ReadResult* result, bool* full) {
  if (mode_ == Mode::kFramed) HashHeader(header);
  const uint64_t wanted = WantedLength(header);
  const size_t at = cursor_ + static_cast<size_t>((header.offset - cursor_) % kPage);
  const uint64_t room = std::min<uint64_t>(slab.size() > at ? slab.size() - at : 0,
                                           kLargestGroupBytes - result->bytes);
  const auto length = static_cast<size_t>(std::min(wanted, room));
  if (wanted > 0 && (length == 0 || result->operations.size() >= kLargestGroupRecords ||
                     Clashes(header, *result))) {
    return Postpone(header, result, full);
  }
  if (length > 0) {
    if (Status status = ReadPayload(slab.subspan(at, length)); !status.ok()) return status;
    AddOperation({header.offset, length, at}, &result->operations);
    cursor_ = at + length;
    result->bytes += length;
  }
  if (length < wanted) {
    return Postpone({header.offset + length, header.length - length}, result, full);
  }
  dropped_ += header.length - wanted;
  return SkipPayload(header.length - wanted);
}

// Leaves the rest of a record to the next batch. A group has no next batch, an empty one no room.
Status RecordReader::Postpone(const Header& header, ReadResult* result, bool* full) {
  if (mode_ == Mode::kFramed || result->operations.empty()) {
    return Status::Corrupt(position(), "the slab is too small");
  }
  pending_ = header;
  result->stop = Stop::kFull;
  *full = true;
  return Status::Ok();
}

Status RecordReader::ReadPayload(std::span<std::byte> into) {
  for (std::span<std::byte> rest = into; !rest.empty();) {
    size_t count = 0;
    if (Status status = input_.Read(rest, &count); !status.ok()) return status;
    if (count == 0) {
      return Cut(position(), "inside a record, " + std::to_string(into.size() - rest.size()) +
                                 " of " + std::to_string(into.size()) + " bytes");
    }
    rest = rest.subspan(count);
  }
  if (mode_ == Mode::kFramed) hasher_->Update(into);
  return Status::Ok();
}

Status RecordReader::SkipPayload(uint64_t length) {
  while (length > 0) {
    bool at_end = false;
    if (Status status = input_.Need(1, &at_end); !status.ok()) return status;
    if (at_end) return Cut(position(), "inside a record, past the end of the device");
    const auto count = static_cast<size_t>(std::min<uint64_t>(length, input_.buffered().size()));
    input_.Take(count);
    length -= count;
  }
  return Status::Ok();
}

}  // namespace lvmsync
