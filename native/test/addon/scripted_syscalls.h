// The table of system calls of the addon's build for tests: fails them by plan, and records what
// they write and flush, in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "core/base/syscalls.h"

namespace lvmsync::testing {

// Calls first .. first + run - 1, counted from 1 over all calls of the table and completions of the
// ring, fail with `error` (ENOMEM: throw bad_alloc instead), or move no more than `most` bytes
// where that is not 0. A flush moves no bytes: it is counted, and passes.
struct FaultPlan {
  uint64_t first = 1;
  uint64_t run = 0;
  int error = 0;
  size_t most = 0;
};

struct Hit {
  const char* call;
  std::string path;
  uint64_t offset;  // bytes, in the file; 0 for a pipe, or for a flush
};

struct Flush {
  std::string path;
  bool failed;
};

struct FaultOutcome {
  uint64_t calls = 0;
  uint64_t injected = 0;
  std::vector<Hit> hits;  // the first ones
  std::vector<Flush> flushes;
};

// A write can reach the medium from its kWrite on, a flush covers the writes whose kWritten comes
// before its kFlush, once its kFlushed has come. Calls that fail by plan do not show.
struct Event {
  enum class Kind : uint8_t { kWrite, kWritten, kFlush, kFlushed, kNote };
  Kind kind;
  uint64_t id = 0;  // of the call: the same at its begin and its end
  std::string path;
  uint64_t offset = 0;           // kWrite
  std::vector<std::byte> bytes;  // kWrite: what it was asked to write
  int64_t result = 0;            // kWritten: what it wrote; kWritten and kFlushed: -1 on failure
};

// Thread-safe. Writes through a ring are failed by plan, but not recorded: the table sees only
// their end. Record with the engine of threads.
class ScriptedSyscalls final : public Syscalls {
 public:
  // Begins to count anew.
  void SetFaults(const FaultPlan& plan);
  // What happened since then; from now on nothing fails.
  FaultOutcome TakeOutcome();

  // Until TakeRecording. Writes and flushes take up to `dawdle` microseconds longer, at random, so
  // that they overlap as they do on slow devices.
  void StartRecording(unsigned dawdle, uint64_t seed);
  std::vector<Event> TakeRecording();
  // Something that went past the table, such as a flush of a directory.
  void Note(const std::string& what);

  ssize_t Pread(int fd, void* into, size_t length, uint64_t offset) const override;
  ssize_t Pwrite(int fd, const void* from, size_t length, uint64_t offset) const override;
  ssize_t Read(int fd, void* into, size_t length) const override;
  ssize_t Writev(int fd, const iovec* vectors, int count) const override;
  int Fdatasync(int fd) const override;
  int Fsync(int fd) const override;
  int32_t RingResult(int fd, Direction direction, uint64_t offset, size_t length,
                     int32_t result) const override;

 private:
  // What shall become of a call.
  struct Verdict {
    int error = 0;
    size_t most = SIZE_MAX;
  };
  Verdict Judge(const char* call, int fd, uint64_t offset) const;
  int FlushAs(const char* call, int fd, int (Syscalls::*real)(int) const) const;
  uint64_t Begin(Event event) const;
  void End(Event::Kind kind, uint64_t id, int64_t result) const;
  void Dawdle() const;

  mutable std::mutex mutex_;
  FaultPlan plan_;
  mutable FaultOutcome outcome_;
  bool recording_ = false;
  unsigned dawdle_ = 0;
  mutable std::mt19937_64 random_;
  mutable uint64_t last_id_ = 0;
  mutable std::vector<Event> events_;
};

}  // namespace lvmsync::testing
