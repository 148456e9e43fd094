#include "core/io/io_engine.h"

#include <cerrno>

namespace lvmsync {

Status TransferFully(const Syscalls& syscalls, Direction direction, IoRequest request) {
  const bool reading = direction == Direction::kRead;
  const char* name = reading ? "pread" : "pwrite";
  while (request.length > 0) {
    const auto [offset, memory, length, fd] = request;
    const ssize_t count = reading ? syscalls.Pread(fd, memory, length, offset)
                                  : syscalls.Pwrite(fd, memory, length, offset);
    if (count < 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      return Status::System(errno, name, request.offset);
    }
    if (count == 0) {
      return reading ? Status::UnexpectedEnd(name, request.offset)
                     : Status::System(ENOSPC, name, request.offset);
    }
    request.offset += static_cast<uint64_t>(count);
    request.memory += count;
    request.length -= static_cast<size_t>(count);
  }
  return Status::Ok();
}

Status TransferAll(const Syscalls& syscalls, Direction direction,
                   std::span<const IoRequest> requests) {
  for (const IoRequest& request : requests) {
    Status status = TransferFully(syscalls, direction, request);
    if (!status.ok()) return status;
  }
  return Status::Ok();
}

Status Earlier(Status a, Status b) {
  if (a.ok()) return b;
  if (b.ok()) return a;
  return a.offset <= b.offset ? a : b;
}

}  // namespace lvmsync
