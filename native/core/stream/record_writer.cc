#include "core/stream/record_writer.h"

#include <cstring>

#include "core/base/big_endian.h"

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

Status RecordWriter::LayOut(std::span<std::byte> slab, std::span<const Operation> operations,
                            bool framed, uint64_t durable_group, Layout* layout) {
  std::vector<Operation> records;
  records.reserve(operations.size());
  if (Status status = PlanRecords(slab.size(), operations, framed, &records); !status.ok()) {
    return status;
  }
  layout->headers.resize(records.size() * kHeaderSize);
  layout->vectors.reserve(records.size() * 2 + 1);
  std::byte* header = layout->headers.data();
  for (const Operation& record : records) {
    store_be64(header, record.offset);
    store_be32(header + 8, static_cast<uint32_t>(record.length));
    const std::span<const std::byte> head{header, kHeaderSize};
    const auto payload = slab.subspan(record.slab_position, record.length);
    if (framed) {
      hasher_.Update(head);
      hasher_.Update(payload);
    }
    layout->vectors.push_back(VectorOf(head));
    layout->vectors.push_back(VectorOf(payload));
    layout->bytes += record.length;
    header += kHeaderSize;
  }
  layout->records = records.size();
  if (framed) {
    layout->mark = CloseGroup({.records = static_cast<uint32_t>(records.size()),
                               .bytes = layout->bytes,
                               .durable_group = durable_group});
    layout->vectors.push_back(VectorOf(layout->mark));
  }
  return Status::Ok();
}

void RecordWriter::Count(const Layout& layout) {
  totals_.groups++;
  totals_.records += layout.records;
  totals_.bytes += layout.bytes;
}

Status RecordWriter::WriteGroup(std::span<std::byte> slab, std::span<const Operation> operations,
                                bool framed, uint64_t durable_group) {
  Layout layout;
  Status status = LayOut(slab, operations, framed, durable_group, &layout);
  if (status.ok()) status = Write(layout.vectors);
  if (status.ok()) Count(layout);
  return status;
}

Status RecordWriter::EncodeGroup(std::span<std::byte> slab, std::span<const Operation> operations,
                                 bool framed, uint64_t durable_group, EncodedGroup* bytes) {
  Layout layout;
  Status status = LayOut(slab, operations, framed, durable_group, &layout);
  if (!status.ok()) return status;
  for (const iovec& vector : layout.vectors) bytes->size += vector.iov_len;
  bytes->data = std::make_unique_for_overwrite<std::byte[]>(bytes->size);
  std::byte* to = bytes->data.get();
  for (const iovec& vector : layout.vectors) {
    std::memcpy(to, vector.iov_base, vector.iov_len);
    to += vector.iov_len;
  }
  Count(layout);
  return status;
}

std::vector<std::byte> RecordWriter::EncodeDiscards(std::span<const Extent> extents) {
  const std::vector<std::byte> payload = EncodeDiscard(extents);
  std::vector<std::byte> bytes = EncodeFrame(kDiscard, payload);
  hasher_.Update(payload);
  const std::vector<std::byte> mark = CloseGroup({});
  bytes.insert(bytes.end(), mark.begin(), mark.end());
  totals_.groups++;
  return bytes;
}

// The frame behind the records hashed so far.
std::vector<std::byte> RecordWriter::CloseGroup(GroupMark mark) {
  mark.number = hasher_.group_number();
  mark.digest = hasher_.EndGroup();
  std::memcpy(mark.stream_tag.data(), hasher_.stream_id().data(), mark.stream_tag.size());
  return lvmsync::EncodeGroup(mark);
}

Status RecordWriter::SyncData() const {
  if (syscalls_.Fdatasync(fd_) != 0) return Status::System(errno, "fdatasync", totals_.position);
  return Status::Ok();
}

}  // namespace lvmsync
