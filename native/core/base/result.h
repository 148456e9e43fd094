// How a core function reports what went wrong. Nothing in the core throws across a thread entry.
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

namespace lvmsync {

// The kinds of failure that a Status describes.
enum class Fault : uint8_t {
  kNone,
  kSystem,         // a system call failed: `error` is its errno, `syscall` its name
  kUnexpectedEnd,  // fewer bytes than asked for: the device or stream ended at `offset`
  kCorrupt,        // the bytes contradict their format; `detail` says how
  kCancelled,      // the owner asked the work to stop
};

// The outcome of one core call. `offset` is in bytes, in whatever the call was reading or writing;
// `file` shows which, where the call had two of them.
struct [[nodiscard]] Status {
  Fault fault = Fault::kNone;
  int error = 0;
  const char* syscall = "";  // static storage
  uint64_t offset = 0;
  std::string detail;
  uint8_t file = 0;  // counted from 0

  bool ok() const { return fault == Fault::kNone; }

  static Status Ok() { return {}; }
  static Status System(int error, const char* syscall, uint64_t offset) {
    return {Fault::kSystem, error, syscall, offset, {}, 0};
  }
  static Status UnexpectedEnd(const char* syscall, uint64_t offset) {
    return {Fault::kUnexpectedEnd, 0, syscall, offset, {}, 0};
  }
  static Status Corrupt(uint64_t offset, std::string detail) {
    return {Fault::kCorrupt, 0, "", offset, std::move(detail), 0};
  }
  static Status Cancelled() { return {Fault::kCancelled, ECANCELED, "", 0, {}, 0}; }
};

}  // namespace lvmsync
