#include "core/base/syscalls.h"

#include <unistd.h>

namespace lvmsync {

ssize_t Syscalls::Pread(int fd, void* into, size_t length, uint64_t offset) const {
  return ::pread(fd, into, length, static_cast<off_t>(offset));
}

ssize_t Syscalls::Pwrite(int fd, const void* from, size_t length, uint64_t offset) const {
  return ::pwrite(fd, from, length, static_cast<off_t>(offset));
}

ssize_t Syscalls::Read(int fd, void* into, size_t length) const { return ::read(fd, into, length); }

ssize_t Syscalls::Writev(int fd, const iovec* vectors, int count) const {
  return ::writev(fd, vectors, count);
}

int Syscalls::Fdatasync(int fd) const { return ::fdatasync(fd); }

int Syscalls::Fsync(int fd) const { return ::fsync(fd); }

int32_t Syscalls::RingResult(int, Direction, uint64_t, size_t, int32_t result) const {
  return result;
}

int Syscalls::RingSetupError() const { return 0; }

int Syscalls::RingEnterError() const { return 0; }

const Syscalls& Syscalls::Real() {
  static const Syscalls real;
  return real;
}

}  // namespace lvmsync
