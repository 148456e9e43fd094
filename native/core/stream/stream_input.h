// The input of a change stream: a descriptor with a buffer before it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/slab.h"
#include "core/stream/stream_file.h"

namespace lvmsync {

// One thread at a time, except Cancel. Does not own the descriptor.
class StreamInput {
 public:
  StreamInput(const Syscalls& syscalls, int fd);

  // Buffers at least `count` bytes, or as many as there are before the end of the input; at
  // most 64 KiB.
  Status Need(size_t count, bool* at_end);
  std::span<const std::byte> buffered() const {
    return buffer_.bytes().subspan(begin_, end_ - begin_);
  }
  // Drops bytes from the front of the buffer.
  void Take(size_t count);
  // Moves bytes out of the buffer, or past it where it is empty and `into` is large. *count is 0
  // only at the end of the input.
  Status Read(std::span<std::byte> into, size_t* count);

  // The offset of the next byte not yet taken.
  uint64_t position() const { return position_; }
  void Cancel() const { cancellation_.Cancel(); }

  // What follows comes from another descriptor; returns what was buffered of the former one.
  std::vector<std::byte> SwitchTo(int fd);

 private:
  Status Fill();
  const Syscalls& syscalls_;
  int fd_;
  Cancellation cancellation_;
  Slab buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
  uint64_t position_ = 0;
};

}  // namespace lvmsync
