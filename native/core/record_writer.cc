#include "record_writer.h"

#include <cstring>

#include "big_endian.h"

namespace lvmsync {
namespace {

iovec VectorOf(std::span<const std::byte> bytes) {
  // writev takes no const pointers but changes nothing.
  return {const_cast<std::byte*>(bytes.data()), bytes.size()};
}

bool Inside(const Operation& operation, size_t slab_size) {
  uint64_t end;
  return !__builtin_add_overflow(operation.slab_position, operation.length, &end) &&
         end <= slab_size && operation.length > 0 && operation.length <= UINT32_MAX;
}

// The records that carry the operations: those of a framed stream are of limited length.
Status PlanRecords(size_t slab_size, std::span<const Operation> operations, bool framed,
                   std::vector<Operation>* records) {
  const uint64_t longest = framed ? kLargestFramedRecord : UINT32_MAX;
  uint64_t bytes = 0;
  for (Operation rest : operations) {
    if (!Inside(rest, slab_size)) {
      return Status::Corrupt(rest.offset, "operation lies outside its slab");
    }
    bytes += rest.length;
    while (rest.length > longest) {
      records->push_back({rest.offset, longest, rest.slab_position});
      rest = {rest.offset + longest, rest.length - longest, rest.slab_position + longest};
    }
    records->push_back(rest);
  }
  if (framed && (records->size() > kLargestGroupRecords || bytes > kLargestGroupBytes)) {
    return Status::Corrupt(operations.front().offset, "a group larger than the format allows");
  }
  return Status::Ok();
}

}  // namespace

Status RecordWriter::Write(std::vector<iovec>& vectors) {
  uint64_t size = 0;
  for (const iovec& vector : vectors) size += vector.iov_len;
  Status status = WriteAll(syscalls_, fd_, cancellation_, vectors, &taken_);
  if (!status.ok()) {
    status.offset += totals_.position;
    return status;
  }
  totals_.position += size;
  return status;
}

Status RecordWriter::WriteRaw(std::span<const std::byte> bytes) {
  std::vector<iovec> vectors{VectorOf(bytes)};
  return Write(vectors);
}

Status RecordWriter::WriteFrame(uint8_t type, std::span<const std::byte> payload) {
  const std::vector<std::byte> frame = EncodeFrame(type, payload);
  return WriteRaw(frame);
}

Status RecordWriter::WriteGroup(std::span<std::byte> slab, std::span<const Operation> operations,
                                bool framed, uint64_t durable_group) {
  std::vector<Operation> records;
  records.reserve(operations.size());
  if (Status status = PlanRecords(slab.size(), operations, framed, &records); !status.ok()) {
    return status;
  }
  std::vector<std::byte> headers(records.size() * kHeaderSize);
  std::vector<iovec> vectors;
  vectors.reserve(records.size() * 2 + 1);
  GroupMark mark;
  std::byte* header = headers.data();
  for (const Operation& record : records) {
    store_be64(header, record.offset);
    store_be32(header + 8, static_cast<uint32_t>(record.length));
    const std::span<const std::byte> head{header, kHeaderSize};
    const auto payload = slab.subspan(record.slab_position, record.length);
    if (framed) {
      hasher_.Update(head);
      hasher_.Update(payload);
    }
    vectors.push_back(VectorOf(head));
    vectors.push_back(VectorOf(payload));
    mark.bytes += record.length;
    header += kHeaderSize;
  }
  std::vector<std::byte> frame;
  if (framed) {
    mark.records = static_cast<uint32_t>(records.size());
    mark.durable_group = durable_group;
    frame = CloseGroup(mark);
    vectors.push_back(VectorOf(frame));
  }
  Status status = Write(vectors);
  if (!status.ok()) return status;
  totals_.groups++;
  totals_.records += records.size();
  totals_.bytes += mark.bytes;
  return status;
}

Status RecordWriter::WriteDiscards(std::span<const Extent> extents) {
  const std::vector<std::byte> payload = EncodeDiscard(extents);
  const std::vector<std::byte> frame = EncodeFrame(kDiscard, payload);
  hasher_.Update(payload);
  const std::vector<std::byte> mark = CloseGroup({});
  std::vector<iovec> vectors{VectorOf(frame), VectorOf(mark)};
  Status status = Write(vectors);
  if (status.ok()) totals_.groups++;
  return status;
}

// The frame behind the records hashed so far.
std::vector<std::byte> RecordWriter::CloseGroup(GroupMark mark) {
  mark.number = hasher_.group_number();
  mark.digest = hasher_.EndGroup();
  std::memcpy(mark.stream_tag.data(), hasher_.stream_id().data(), mark.stream_tag.size());
  return EncodeGroup(mark);
}

Status RecordWriter::SyncData() const {
  if (syscalls_.Fdatasync(fd_) != 0) return Status::System(errno, "fdatasync", totals_.position);
  return Status::Ok();
}

}  // namespace lvmsync
