// Descriptors whose bytes are in memory.
#pragma once

#include <fcntl.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "core/base/file_descriptor.h"
#include "core/base/syscalls.h"

namespace lvmsync::testing {

using Bytes = std::vector<std::byte>;

// A descriptor that poll always finds ready.
inline int ReadyFd() {
  static const FileDescriptor ready(::open("/dev/null", O_RDWR | O_CLOEXEC));
  return ready.get();
}

// Reads come from memory, never more bytes than `most` says.
class MemoryInput : public Syscalls {
 public:
  using Most = std::function<size_t()>;
  explicit MemoryInput(std::span<const std::byte> bytes, Most most = nullptr)
      : bytes_(bytes), most_(std::move(most)) {}
  ssize_t Read(int, void* into, size_t length) const override {
    size_t count = std::min(length, bytes_.size());
    if (most_) count = std::min(count, most_());
    if (count > 0) std::memcpy(into, bytes_.data(), count);
    bytes_ = bytes_.subspan(count);
    return static_cast<ssize_t>(count);
  }

 private:
  mutable std::span<const std::byte> bytes_;
  Most most_;
};

class MemoryOutput : public Syscalls {
 public:
  ssize_t Writev(int, const iovec* vectors, int count) const override {
    ssize_t total = 0;
    for (const iovec& vector : std::span(vectors, static_cast<size_t>(count))) {
      const auto* from = static_cast<const std::byte*>(vector.iov_base);
      bytes_.insert(bytes_.end(), from, from + vector.iov_len);
      total += static_cast<ssize_t>(vector.iov_len);
    }
    return total;
  }
  Bytes& bytes() const { return bytes_; }

 private:
  mutable Bytes bytes_;
};

}  // namespace lvmsync::testing
