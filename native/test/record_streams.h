// Change streams in memory: written by RecordWriter or by hand, and read to their end.
#pragma once

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/big_endian.h"
#include "core/base/slab.h"
#include "core/stream/record_reader.h"
#include "core/stream/record_writer.h"
#include "memory_descriptors.h"

namespace lvmsync::testing {

using Bytes = std::vector<std::byte>;

inline const std::string kHandshake = "lvmsync PROTO[3]\n";
constexpr size_t kHelloSize = 60;  // its fields: stream id at 4, flags at 2, device size at 40
// Holds any group or classic batch: payload, and a page for each operation.
constexpr size_t kSlabSize = kLargestGroupBytes + (kLargestGroupRecords + 1) * 4096;

struct Record {
  uint64_t offset = 0;
  Bytes payload;
  bool operator==(const Record&) const = default;
};
using Group = std::vector<Record>;

enum class Form : uint8_t { kSorted, kUnsorted, kClassic };

inline StreamId TestStreamId() {
  StreamId id{};
  for (size_t i = 0; i < id.size(); i++) id[i] = static_cast<uint8_t>(17 * i + 3);
  return id;
}

inline void AppendText(Bytes& bytes, const std::string& text) {
  const auto from = std::as_bytes(std::span(text));
  bytes.insert(bytes.end(), from.begin(), from.end());
}

inline void AppendHeader(Bytes& bytes, uint64_t offset, uint64_t length) {
  std::array<std::byte, kHeaderSize> header{};
  store_be64(header.data(), offset);
  store_be32(header.data() + 8, static_cast<uint32_t>(length));
  bytes.insert(bytes.end(), header.begin(), header.end());
}

inline void AppendRecord(Bytes& bytes, uint64_t offset, uint64_t length, int fill = 0x5a) {
  AppendHeader(bytes, offset, length);
  bytes.resize(bytes.size() + length, static_cast<std::byte>(fill));
}

inline Bytes HelloPayload(uint64_t device_size, bool sorted) {
  Bytes payload(kHelloSize);
  const StreamId id = TestStreamId();
  payload[0] = payload[1] = std::byte{1};
  store_be16(payload.data() + 2, sorted ? 1 : 0);
  std::memcpy(payload.data() + 4, id.data(), id.size());
  store_be64(payload.data() + 40, device_size);
  return payload;
}

// The records, their payloads one after the other.
inline std::vector<Operation> LayOut(const Group& group, Bytes* slab) {
  std::vector<Operation> operations;
  slab->clear();
  for (const Record& record : group) {
    operations.push_back({record.offset, record.payload.size(), slab->size()});
    slab->insert(slab->end(), record.payload.begin(), record.payload.end());
  }
  return operations;
}

// Writes handshake, HELLO, groups and END; classic: handshake and records.
inline void WriteStream(RecordWriter& writer, std::span<const Group> groups, Form form,
                        uint64_t device_size) {
  const bool framed = form != Form::kClassic;
  const auto require = [](const Status& status) {
    if (!status.ok()) throw std::runtime_error(status.syscall + status.detail);
  };
  require(writer.WriteRaw(std::as_bytes(std::span(kHandshake))));
  if (framed) {
    require(writer.WriteRaw(EncodeFrame(kHello, HelloPayload(device_size, form == Form::kSorted))));
  }
  Bytes slab;
  for (const Group& group : groups) {
    const auto operations = LayOut(group, &slab);
    require(writer.WriteGroup(slab, operations, framed, GroupMark::kNoneDurable));
  }
  if (framed) {
    const Digest total = writer.total_digest();
    require(writer.WriteRaw(EncodeFrame(kEnd, std::as_bytes(std::span(total)))));
  }
}

inline Bytes MakeStream(std::span<const Group> groups, Form form, uint64_t device_size) {
  const MemoryOutput output;
  RecordWriter writer(output, ReadyFd(), TestStreamId());
  WriteStream(writer, groups, form, device_size);
  return std::move(output.bytes());
}

// One result of Next that has operations, as bytes of their own.
struct Delivery {
  Stop stop = Stop::kEnd;
  std::vector<Record> parts;
  bool operator==(const Delivery&) const = default;
};

struct Outcome {
  bool refused = false;  // it is not a stream that the caller may read
  std::vector<Delivery> deliveries;
  bool end_frame = false;
  Stop last = Stop::kEnd;
  Status status;
  std::string reason;
  uint64_t records = 0;
  uint64_t dropped_bytes = 0;
  size_t results = 0;  // of Next

  // What a caller takes for a whole stream.
  bool whole(bool framed) const {
    return !refused && status.ok() && last == Stop::kEnd && (end_frame || !framed);
  }
  bool SameVerdict(const Outcome& other) const {
    return refused == other.refused && deliveries == other.deliveries && last == other.last &&
           end_frame == other.end_frame && status.fault == other.status.fault &&
           status.offset == other.status.offset && status.detail == other.status.detail &&
           reason == other.reason && records == other.records &&
           dropped_bytes == other.dropped_bytes;
  }
};

struct ReadOptions {
  int fd = ReadyFd();
  ClassicRules classic{};  // for what has no HELLO
  size_t slab_size = kSlabSize;
};

// What a caller of RecordReader does, up to the first thing that is wrong.
class StreamSession {
 public:
  StreamSession(const Syscalls& syscalls, const ReadOptions& options)
      : options_(options), reader_(syscalls, options.fd) {}

  Outcome Run() {
    if (Begin()) {
      static const Slab slab = Slab::Allocate(kSlabSize);
      const auto use = slab.bytes().first(options_.slab_size);
      while (Step(use)) {
      }
    }
    return std::move(outcome_);
  }

  RecordReader& reader() { return reader_; }

 private:
  bool Failed(Status status) {
    outcome_.status = std::move(status);
    return !outcome_.status.ok();
  }

  bool Refuse() {
    outcome_.refused = true;
    return false;
  }

  bool Begin() {
    std::string line;
    if (Failed(reader_.ReadLine(80, &line))) return false;
    if (line != kHandshake) return Refuse();
    RecordReader::FirstRecord first{};
    if (Failed(reader_.First(&first))) return false;
    if (first != RecordReader::FirstRecord::kControl) {
      reader_.BeginClassic(options_.classic);
      return true;
    }
    ReadResult result;
    if (Failed(reader_.Next({}, &result))) return false;
    const Bytes& hello = result.frame.payload;
    if (result.stop != Stop::kFrame || result.frame.type != kHello) return Refuse();
    if (hello.size() != kHelloSize) return Refuse();
    FramedRules rules;
    std::memcpy(rules.stream_id.data(), hello.data() + 4, rules.stream_id.size());
    rules.device_size = load_be64(hello.data() + 40);
    rules.sorted = load_be16(hello.data() + 2) == 1;
    reader_.BeginFramed(rules);
    return true;
  }

  bool Step(std::span<std::byte> slab) {
    ReadResult result;
    if (Failed(reader_.Next(slab, &result))) return false;
    outcome_.results++;
    outcome_.last = result.stop;
    outcome_.reason = result.reason;
    outcome_.records += result.records;
    outcome_.dropped_bytes = result.dropped_bytes;
    Deliver(result, slab);
    if (result.stop == Stop::kFrame && result.frame.type == kEnd) return Finish();
    return result.stop == Stop::kGroup || result.stop == Stop::kFull ||
           (result.stop == Stop::kFrame && result.frame.type >= 0x80);
  }

  void Deliver(const ReadResult& result, std::span<const std::byte> slab) {
    if (result.operations.empty()) return;
    Delivery delivery{result.stop, {}};
    for (const Operation& operation : result.operations) {
      const auto bytes = slab.subspan(operation.slab_position, operation.length);
      delivery.parts.push_back({operation.offset, Bytes(bytes.begin(), bytes.end())});
    }
    outcome_.deliveries.push_back(std::move(delivery));
  }

  bool Finish() {
    RecordReader::FirstRecord first{};
    if (Failed(reader_.First(&first))) return false;
    if (first != RecordReader::FirstRecord::kNone) return Refuse();
    outcome_.end_frame = true;
    outcome_.last = Stop::kEnd;
    return false;
  }

  ReadOptions options_;
  RecordReader reader_;
  Outcome outcome_;
};

inline Outcome ReadStream(const Bytes& stream, const ReadOptions& options = {}) {
  const MemoryInput input(stream);
  return StreamSession(input, options).Run();
}

// Contiguous records joined, as the reader joins them.
inline std::vector<Record> Joined(const Group& group) {
  std::vector<Record> joined;
  for (const Record& record : group) {
    if (!joined.empty() && joined.back().offset + joined.back().payload.size() == record.offset) {
      Bytes& last = joined.back().payload;
      last.insert(last.end(), record.payload.begin(), record.payload.end());
    } else {
      joined.push_back(record);
    }
  }
  return joined;
}

inline std::vector<Delivery> Expected(std::span<const Group> groups) {
  std::vector<Delivery> deliveries;
  for (const Group& group : groups) {
    if (!group.empty()) deliveries.push_back({Stop::kGroup, Joined(group)});
  }
  return deliveries;
}

// Groups of disjoint records with a payload of about `bytes` in all.
inline std::vector<Group> RandomGroups(uint64_t bytes, uint64_t longest, Form form,
                                       std::mt19937_64& random, uint64_t* device_size) {
  std::vector<Record> records;
  uint64_t offset = 0;
  for (uint64_t total = 0; total < bytes;) {
    const uint64_t length = form == Form::kClassic ? longest : 1 + random() % longest;
    if (random() % 3 != 0) offset += form == Form::kClassic ? longest : random() % 5000;
    Record record{offset, Bytes(length)};
    for (std::byte& byte : record.payload) byte = static_cast<std::byte>(random() & 0xff);
    records.push_back(std::move(record));
    offset += length;
    total += length;
  }
  *device_size = offset + random() % 2;
  if (form == Form::kUnsorted) std::shuffle(records.begin(), records.end(), random);
  std::vector<Group> groups(1);
  uint64_t group_bytes = 0;
  for (Record& record : records) {
    const uint64_t length = record.payload.size();
    if (random() % 8 == 0 || group_bytes + length > kLargestGroupBytes ||
        groups.back().size() == kLargestGroupRecords) {
      groups.emplace_back();
      group_bytes = 0;
    }
    group_bytes += length;
    groups.back().push_back(std::move(record));
  }
  return groups;
}

}  // namespace lvmsync::testing
