// The system calls of the core behind one table, so that tests can force EINTR, short counts, EIO
// at the n-th call, ENOSPC and every fallback path. The real table adds one virtual call per
// syscall.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

namespace lvmsync {

enum class Direction : uint8_t { kRead, kWrite };

// Each member behaves as the system call of its name: -1 and errno on failure.
class Syscalls {
 public:
  virtual ~Syscalls() = default;
  virtual ssize_t Pread(int fd, void* into, size_t length, uint64_t offset) const;
  virtual ssize_t Pwrite(int fd, const void* from, size_t length, uint64_t offset) const;
  virtual ssize_t Read(int fd, void* into, size_t length) const;
  virtual ssize_t Writev(int fd, const iovec* vectors, int count) const;
  virtual int Fdatasync(int fd) const;
  virtual int Fsync(int fd) const;
  // Sees each io_uring completion (negative errno or a byte count) and returns the one to act on:
  // ring I/O passes no other hook of this table.
  virtual int32_t RingResult(int fd, Direction direction, uint64_t offset, size_t length,
                             int32_t result) const;
  // Errno with which setting up a ring shall fail, 0 to let it try.
  virtual int RingSetupError() const;
  // Errno with which entering a ring shall fail from now on, 0 to let it try.
  virtual int RingEnterError() const;

  static const Syscalls& Real();
};

}  // namespace lvmsync
