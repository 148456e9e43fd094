// Writes a change stream or snapback: records straight out of slabs, and control frames.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/io/batch.h"
#include "core/stream/control_frame.h"
#include "core/stream/group_hasher.h"
#include "core/stream/stream_file.h"

namespace lvmsync {

// The stream so far, as its writer sees it.
struct StreamTotals {
  uint64_t groups = 0;
  uint64_t records = 0;
  uint64_t bytes = 0;     // of payload
  uint64_t position = 0;  // raw bytes in the stream
};

// The bytes of a group; not initialised before they are written.
struct EncodedGroup {
  std::unique_ptr<std::byte[]> data;
  size_t size = 0;
};

// One thread at a time, except that Cancel and taken may be called from any. Does not own `fd`.
class RecordWriter {
 public:
  RecordWriter(const Syscalls& syscalls, int fd, const StreamId& stream_id)
      : syscalls_(syscalls), fd_(fd), hasher_(stream_id) {
    WidenPipe(fd);
  }

  // Bytes as they are: the handshake, and what was encoded before.
  Status WriteRaw(std::span<const std::byte> bytes);
  // One record per operation, its payload taken from the slab without a copy. Framed: an operation
  // longer than kLargestFramedRecord becomes several records, and a GROUP frame that carries
  // `durable_group` (see GroupMark) follows. Fault::kCorrupt, and nothing written, if an operation
  // lies outside the slab or the group is larger than the format allows.
  Status WriteGroup(std::span<std::byte> slab, std::span<const Operation> operations, bool framed,
                    uint64_t durable_group);
  // The bytes that WriteGroup would write, in one piece of memory, which is assigned to *bytes. The
  // group counts as written.
  Status EncodeGroup(std::span<std::byte> slab, std::span<const Operation> operations, bool framed,
                     uint64_t durable_group, EncodedGroup* bytes);
  // The bytes of a group of no records that asks the receiver to make up to kLargestDiscard extents
  // read as zeros. Only for a receiver that said it knows them. The group counts as written.
  std::vector<std::byte> EncodeDiscards(std::span<const Extent> extents);
  Status SyncData() const;
  void Cancel() const { cancellation_.Cancel(); }
  // Raw bytes that the descriptor has taken so far, also in the middle of a group.
  uint64_t taken() const { return taken_.load(std::memory_order_relaxed); }
  const StreamTotals& totals() const { return totals_; }
  Digest total_digest() const { return hasher_.Total(); }

 private:
  // Headers and mark of a group, and the vectors that name them and the payloads in their order.
  struct Layout {
    std::vector<std::byte> headers;
    std::vector<std::byte> mark;
    std::vector<iovec> vectors;
    uint64_t records = 0;
    uint64_t bytes = 0;  // of payload
  };
  Status LayOut(std::span<std::byte> slab, std::span<const Operation> operations, bool framed,
                uint64_t durable_group, Layout* layout);
  void Count(const Layout& layout);
  Status Write(std::vector<iovec>& vectors);
  std::vector<std::byte> CloseGroup(GroupMark mark);
  const Syscalls& syscalls_;
  int fd_;
  GroupHasher hasher_;
  Cancellation cancellation_;
  StreamTotals totals_;
  std::atomic<uint64_t> taken_ = 0;
};

}  // namespace lvmsync
