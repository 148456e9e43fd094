// Runs many positioned reads or writes at once, through io_uring or a pool of blocking threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "core/base/result.h"
#include "core/base/syscalls.h"

namespace lvmsync {

// One transfer between a file and memory. With O_DIRECT offset, memory and length are aligned by
// the caller.
struct IoRequest {
  uint64_t offset = 0;  // bytes, in the file
  std::byte* memory = nullptr;
  size_t length = 0;  // bytes
  int fd = -1;        // the file
};

// Thread-safe: several batches may run at the same time.
class IoEngine {
 public:
  virtual ~IoEngine() = default;
  // Carries out every request, of one file or several, whole: EINTR, EAGAIN and short counts are
  // continued. Returns after the last one has ended, also when one fails: nothing uses the memory
  // any more. Then the rest is not begun, and the Status is that of the failure with the lowest
  // offset of those that happened; its offset is where the failed system call began.
  virtual Status Run(Direction direction, std::span<const IoRequest> requests) = 0;
  // "io_uring" or "threads".
  virtual const char* name() const = 0;
};

// nullptr where the kernel or a seccomp filter refuses io_uring, or where the kernel's is too old;
// `error` then holds the errno.
std::unique_ptr<IoEngine> MakeRingEngine(const Syscalls& syscalls, int* error);
std::unique_ptr<IoEngine> MakeThreadEngine(const Syscalls& syscalls);

// The blocking loop that both engines and single transfers share: one request, whole.
Status TransferFully(const Syscalls& syscalls, Direction direction, IoRequest request);

// The requests one after the other up to the first failure: what is left where an engine gets
// neither ring nor threads.
Status TransferAll(const Syscalls& syscalls, Direction direction,
                   std::span<const IoRequest> requests);

// The failure with the lower offset; an Ok loses against any failure.
Status Earlier(Status a, Status b);

}  // namespace lvmsync
