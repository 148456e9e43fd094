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
  std::vector<std::byte> headers(operations.size() * kHeaderSize);
  std::vector<iovec> vectors;
  vectors.reserve(operations.size() * 2 + 1);
  GroupMark mark;
  std::byte* header = headers.data();
  for (const Operation& operation : operations) {
    if (!Inside(operation, slab.size())) {
      return Status::Corrupt(operation.offset, "operation lies outside its slab");
    }
    store_be64(header, operation.offset);
    store_be32(header + 8, static_cast<uint32_t>(operation.length));
    const std::span<const std::byte> head{header, kHeaderSize};
    const auto payload = slab.subspan(operation.slab_position, operation.length);
    if (framed) {
      hasher_.Update(head);
      hasher_.Update(payload);
    }
    vectors.push_back(VectorOf(head));
    vectors.push_back(VectorOf(payload));
    mark.bytes += operation.length;
    header += kHeaderSize;
  }
  std::vector<std::byte> frame;
  if (framed) {
    mark.number = hasher_.group_number();
    mark.records = static_cast<uint32_t>(operations.size());
    mark.durable_group = durable_group;
    mark.digest = hasher_.EndGroup();
    std::memcpy(mark.stream_tag.data(), hasher_.stream_id().data(), mark.stream_tag.size());
    frame = EncodeGroup(mark);
    vectors.push_back(VectorOf(frame));
  }
  Status status = Write(vectors);
  if (!status.ok()) return status;
  totals_.groups++;
  totals_.records += operations.size();
  totals_.bytes += mark.bytes;
  return status;
}

Status RecordWriter::SyncData() const {
  if (syscalls_.Fdatasync(fd_) != 0) return Status::System(errno, "fdatasync", totals_.position);
  return Status::Ok();
}

}  // namespace lvmsync
