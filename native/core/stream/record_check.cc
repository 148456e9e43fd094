#include "core/stream/record_check.h"

namespace lvmsync {
namespace {

const char* Absurd(const Extent& record, uint64_t largest) {
  if (record.length > largest) return "a record with an absurd length";
  if (record.offset > kLargestOffset || record.offset + record.length > kLargestOffset) {
    return "a record with an absurd offset";
  }
  return nullptr;
}

// Remembers the place of a record.
const char* Note(const Extent& place, ExtentSet& seen) {
  if (seen.Overlaps(place)) return "a place named twice";
  seen.Insert(place);
  return seen.crowded() ? "too many scattered records smaller than a page" : nullptr;
}

std::string CountsText(const GroupMark& mark) {
  return std::to_string(mark.records) + " records, " + std::to_string(mark.bytes) + " bytes";
}

}  // namespace

const char* FramedCheck::NextRecord(const Extent& record, uint64_t records, uint64_t bytes) {
  if (const char* fault = Absurd(record, kLargestFramedRecord); fault != nullptr) return fault;
  if (record.offset + record.length > rules_.device_size) {
    return "a record past the end of the device";
  }
  if (records >= kLargestGroupRecords || bytes + record.length > kLargestGroupBytes) {
    return "a group larger than the format allows";
  }
  if (rules_.sorted && record.offset < last_end_) return "a record out of order";
  if (!rules_.sorted) {
    if (const char* fault = Note(record, seen_); fault != nullptr) return fault;
  }
  last_end_ = record.offset + record.length;
  return nullptr;
}

bool FramedCheck::NextDiscard(const Extent& discard) {
  uint64_t end;
  if (discard.length == 0 || discard.offset < last_discard_end_ ||
      __builtin_add_overflow(discard.offset, discard.length, &end) || end > rules_.device_size) {
    return false;
  }
  last_discard_end_ = end;
  return true;
}

const char* ClassicCheck::NextRecord(const Extent& record) {
  if (record.length == 0) return rules_.skip_control ? nullptr : "a record of no bytes";
  if (const char* fault = Absurd(record, kLargestClassicRecord); fault != nullptr) return fault;
  if (!rules_.strict) return nullptr;
  if (ended_) return "a record after the short last one";
  const bool first = first_length_ == 0;
  if (first) first_length_ = record.length;
  if (record.length > first_length_) return "a record of another length than the first";
  const bool aligned = record.offset % first_length_ == 0;
  if (!aligned && !first) return "an offset that is not a multiple of the record length";
  if (const char* fault = Note(record, seen_); fault != nullptr) return fault;
  ended_ = record.length < first_length_ || !aligned;
  return nullptr;
}

std::string FaultOfGroup(const GroupMark& mark, const GroupMark& wanted) {
  if (mark.number != wanted.number) {
    return "group " + std::to_string(mark.number) + " where group " +
           std::to_string(wanted.number) + " was expected";
  }
  if (mark.records != wanted.records || mark.bytes != wanted.bytes) {
    return "a group of " + CountsText(wanted) + " that claims " + CountsText(mark);
  }
  if (mark.stream_tag != wanted.stream_tag) return "a group of another stream";
  if (mark.digest != wanted.digest) {
    return "the hash of group " + std::to_string(wanted.number) + " does not match";
  }
  return {};
}

}  // namespace lvmsync
