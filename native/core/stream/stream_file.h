// The byte-stream end of a descriptor: pipe, socket, terminal or file, read and written in order.
#pragma once

#include <sys/uio.h>

#include <atomic>
#include <span>
#include <vector>

#include "core/base/file_descriptor.h"
#include "core/base/result.h"
#include "core/base/syscalls.h"

namespace lvmsync {

// Lets another thread end a wait for input or output. Thread-safe.
class Cancellation {
 public:
  Cancellation();
  void Cancel() const;
  bool cancelled() const;
  int fd() const { return event_.get(); }

 private:
  FileDescriptor event_;
};

// Gives a pipe room for 256 KiB, where it has less and the system allows it: with the usual 64 KiB
// its two ends wake each other four times as often. Any other descriptor stays as it is.
void WidenPipe(int fd);

// Reads up to into.size() bytes; *count is 0 only at the end of input. EAGAIN waits.
Status ReadSome(const Syscalls& syscalls, int fd, const Cancellation& cancellation,
                std::span<std::byte> into, size_t* count);

// Reads until `into` is full or the input ends; *count tells how much. For a writer that writes
// line by line: short reads are followed by short pauses, in which the pipe fills, instead of by a
// wake-up for each line.
Status ReadInBulk(const Syscalls& syscalls, int fd, const Cancellation& cancellation,
                  std::span<std::byte> into, size_t* count);

// Writes all vectors, in order; they are consumed. EAGAIN and short counts are continued.
// Status.offset is how many bytes were written before the failure. `taken` is raised by each count
// as it is written, so that another thread can see whether the reader still reads.
Status WriteAll(const Syscalls& syscalls, int fd, const Cancellation& cancellation,
                std::vector<iovec>& vectors, std::atomic<uint64_t>* taken);

}  // namespace lvmsync
