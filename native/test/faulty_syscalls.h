// A table of system calls that fails when told to, for tests of what happens then.
#pragma once

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <mutex>
#include <set>

#include "core/base/syscalls.h"

namespace lvmsync::testing {

// What happens to a call: it fails with `error`, or moves no more than `most` bytes.
struct Injected {
  const char* name;
  int error = 0;
  size_t most = 0;
  bool ring_only = false;  // completions of the ring, not the calls that do the same
};

// Thread-safe. One count runs through the calls of every kind, ring completions among them.
class FaultySyscalls : public Syscalls {
 public:
  static constexpr uint64_t kForever = UINT64_MAX;

  // Calls first .. first + run - 1, counted from 1, get the fault.
  FaultySyscalls(const Injected& fault, uint64_t first, uint64_t run)
      : fault_(fault), first_(first), run_(run) {}
  // None fails; the calls are counted.
  FaultySyscalls() : FaultySyscalls({"none"}, 1, 0) {}

  uint64_t calls() const { return calls_; }
  uint64_t injected() const { return injected_; }
  // Whether a faulty transfer began at that byte of the file.
  bool FailedAt(uint64_t offset) const {
    std::lock_guard lock(mutex_);
    return offsets_.contains(offset);
  }

  ssize_t Pread(int fd, void* into, size_t length, uint64_t offset) const override {
    if (fault_.ring_only || !Hit(offset)) return Syscalls::Pread(fd, into, length, offset);
    if (fault_.error != 0) return Fail();
    return Syscalls::Pread(fd, into, std::min(length, fault_.most), offset);
  }

  ssize_t Pwrite(int fd, const void* from, size_t length, uint64_t offset) const override {
    if (fault_.ring_only || !Hit(offset)) return Syscalls::Pwrite(fd, from, length, offset);
    if (fault_.error != 0) return Fail();
    return Syscalls::Pwrite(fd, from, std::min(length, fault_.most), offset);
  }

  ssize_t Read(int fd, void* into, size_t length) const override {
    if (!Hit(0)) return Syscalls::Read(fd, into, length);
    return fault_.error != 0 ? Fail() : Syscalls::Read(fd, into, std::min(length, fault_.most));
  }

  ssize_t Writev(int fd, const iovec* vectors, int count) const override {
    if (!Hit(0)) return Syscalls::Writev(fd, vectors, count);
    if (fault_.error != 0) return Fail();
    const iovec first{vectors->iov_base, std::min(vectors->iov_len, fault_.most)};
    return Syscalls::Writev(fd, &first, 1);
  }

  int Fdatasync(int fd) const override { return Hit(0) ? Fail() : Syscalls::Fdatasync(fd); }
  int Fsync(int fd) const override { return Hit(0) ? Fail() : Syscalls::Fsync(fd); }

  int32_t RingResult(int, Direction, uint64_t offset, size_t, int32_t result) const override {
    if (!Hit(offset)) return result;
    if (fault_.error != 0) return -fault_.error;
    return std::min(result, static_cast<int32_t>(fault_.most));
  }

 private:
  bool Hit(uint64_t offset) const {
    const uint64_t call = ++calls_;
    if (call < first_ || call - first_ >= run_) return false;
    std::lock_guard lock(mutex_);
    injected_++;
    offsets_.insert(offset);
    return true;
  }

  int Fail() const {
    errno = fault_.error;
    return -1;
  }

  const Injected fault_;
  const uint64_t first_;
  const uint64_t run_;
  mutable std::atomic<uint64_t> calls_ = 0;
  mutable std::atomic<uint64_t> injected_ = 0;
  mutable std::mutex mutex_;
  mutable std::set<uint64_t> offsets_;
};

}  // namespace lvmsync::testing
