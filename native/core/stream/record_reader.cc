#include "core/stream/record_reader.h"

#include <algorithm>
#include <cstring>

#include "core/base/big_endian.h"

namespace lvmsync {
namespace {

constexpr uint64_t kPage = 4096;

std::string Describe(const char* what, uint64_t offset, uint64_t length) {
  return std::string(what) + " (offset " + std::to_string(offset) + ", length " +
         std::to_string(length) + ")";
}

std::string CountsText(uint64_t records, uint64_t bytes) {
  return std::to_string(records) + " records, " + std::to_string(bytes) + " bytes";
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
  hasher_ = std::make_unique<GroupHasher>(rules.stream_id);
}

void RecordReader::BeginClassic(const ClassicRules& rules) {
  mode_ = Mode::kClassic;
  classic_ = rules;
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
  const auto corrupt = [&](const char* what) {
    return Status::Corrupt(position(), Describe(what, header.offset, header.length));
  };
  if (mode_ == Mode::kClassic && header.length == 0) {
    return classic_.skip_control ? Status::Ok() : corrupt("a record of no bytes");
  }
  const uint64_t largest = mode_ == Mode::kClassic ? kLargestClassicRecord : kLargestFramedRecord;
  if (header.length > largest) return corrupt("a record with an absurd length");
  if (header.offset > kLargestOffset || header.offset + header.length > kLargestOffset) {
    return corrupt("a record with an absurd offset");
  }
  if (mode_ == Mode::kClassic) return CheckClassic(header);
  if (header.offset + header.length > framed_.device_size) {
    return corrupt("a record past the end of the device");
  }
  if (result.records >= kLargestGroupRecords || result.bytes + header.length > kLargestGroupBytes) {
    return corrupt("a group larger than the format allows");
  }
  if (framed_.sorted && header.offset < last_end_) return corrupt("a record out of order");
  if (!framed_.sorted) {
    if (const char* fault = Note(header); fault != nullptr) return corrupt(fault);
  }
  last_end_ = header.offset + header.length;
  return Status::Ok();
}

// Remembers the place of a record. Null, or what is wrong with it.
const char* RecordReader::Note(const Header& header) {
  const Extent place{header.offset, header.length};
  if (seen_.Overlaps(place)) return "a place named twice";
  seen_.Insert(place);
  return seen_.crowded() ? "too many scattered records smaller than a page" : nullptr;
}

// The original's sender gives every record the chunk size as its length, and each offset once. Only
// the last record may be shorter, clipped at the end of its source: whether it was the last shows
// when the next one is refused, in the same batch.
Status RecordReader::CheckClassic(const Header& header) {
  if (!classic_.strict) return Status::Ok();
  const auto desynchronised = [&](const char* what) {
    return Status::Corrupt(position(), Describe(what, header.offset, header.length));
  };
  if (classic_ended_) return desynchronised("a record after the short last one");
  const bool first = classic_length_ == 0;
  if (first) classic_length_ = header.length;
  if (header.length > classic_length_) {
    return desynchronised("a record of another length than the first");
  }
  const bool aligned = header.offset % classic_length_ == 0;
  if (!aligned && !first) {
    return desynchronised("an offset that is no multiple of the record length");
  }
  if (const char* fault = Note(header); fault != nullptr) return desynchronised(fault);
  classic_ended_ = header.length < classic_length_ || !aligned;
  return Status::Ok();
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

// Discards come behind the data and are in order among themselves; the sender names no place in
// both.
Status RecordReader::TakeDiscard(ReadResult* result) {
  const std::optional<ExtentList> extents = DecodeDiscard(result->frame);
  if (!framed_.discards || !extents) return Status::Corrupt(position(), "an unexpected discard");
  hasher_->Update(result->frame.payload);
  for (const Extent& extent : *extents) {
    uint64_t end;
    if (extent.length == 0 || extent.offset < last_discard_end_ ||
        __builtin_add_overflow(extent.offset, extent.length, &end) || end > framed_.device_size) {
      return Status::Corrupt(position(), Describe("a bad discard", extent.offset, extent.length));
    }
    last_discard_end_ = end;
    result->discards.push_back(extent);
  }
  if (result->discards.size() > kLargestDiscard) {
    return Status::Corrupt(position(), "a group larger than the format allows");
  }
  return Status::Ok();
}

void RecordReader::FinishGroup(ReadResult* result) {
  const uint64_t number = hasher_->group_number();
  const Digest digest = hasher_->EndGroup();
  result->stop = Stop::kBadGroup;
  const std::optional<GroupMark> mark = DecodeGroup(result->frame);
  if (!mark) {
    result->reason = "a group mark of unknown form";
    return;
  }
  if (mark->number != number) {
    result->reason = "group " + std::to_string(mark->number) + " where group " +
                     std::to_string(number) + " was expected";
  } else if (mark->records != result->records || mark->bytes != result->bytes) {
    result->reason = "a group of " + CountsText(result->records, result->bytes) + " that claims " +
                     CountsText(mark->records, mark->bytes);
  } else if (std::memcmp(mark->stream_tag.data(), framed_.stream_id.data(), kStreamTagSize) != 0) {
    result->reason = "a group of another stream";
  } else if (mark->digest != digest) {
    result->reason = "the hash of group " + std::to_string(number) + " does not match";
  } else {
    result->stop = Stop::kGroup;
  }
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

// Puts the payload, or as much of it as fits, into the slab. What does not fit stays pending.
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
