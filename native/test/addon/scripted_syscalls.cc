#include "scripted_syscalls.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <new>
#include <thread>
#include <utility>

namespace lvmsync::testing {
namespace {

// More are counted, but not listed: a plan may hit every call of a long run.
constexpr size_t kMostHits = 1024;

std::string PathOf(int fd) {
  std::array<char, PATH_MAX> path;
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t length = ::readlink(link.c_str(), path.data(), path.size());
  return length < 0 ? link : std::string(path.data(), static_cast<size_t>(length));
}

// Where a stream stands in its file; 0 for a pipe.
uint64_t PositionOf(int fd) {
  const off_t position = ::lseek(fd, 0, SEEK_CUR);
  return position < 0 ? 0 : static_cast<uint64_t>(position);
}

// ENOMEM stands for an allocation that failed inside the core.
int FailWith(int error) {
  if (error == ENOMEM) throw std::bad_alloc();
  errno = error;
  return -1;
}

// The first `most` bytes of the vectors.
std::vector<iovec> Shortened(const iovec* vectors, int count, size_t most) {
  std::vector<iovec> shortened;
  for (const iovec& vector : std::span(vectors, static_cast<size_t>(count))) {
    const size_t length = std::min(vector.iov_len, most);
    if (length > 0) shortened.push_back({vector.iov_base, length});
    most -= length;
  }
  return shortened;
}

std::vector<std::byte> Joined(const std::vector<iovec>& vectors) {
  std::vector<std::byte> bytes;
  for (const iovec& vector : vectors) {
    const auto* from = static_cast<const std::byte*>(vector.iov_base);
    bytes.insert(bytes.end(), from, from + vector.iov_len);
  }
  return bytes;
}

}  // namespace

void ScriptedSyscalls::SetFaults(const FaultPlan& plan) {
  std::lock_guard lock(mutex_);
  plan_ = plan;
  outcome_ = {};
}

FaultOutcome ScriptedSyscalls::TakeOutcome() {
  std::lock_guard lock(mutex_);
  plan_ = {};
  return std::exchange(outcome_, {});
}

void ScriptedSyscalls::StartRecording(unsigned dawdle, uint64_t seed) {
  std::lock_guard lock(mutex_);
  recording_ = true;
  dawdle_ = dawdle;
  random_.seed(seed);
  events_.clear();
}

std::vector<Event> ScriptedSyscalls::TakeRecording() {
  std::lock_guard lock(mutex_);
  recording_ = false;
  dawdle_ = 0;
  return std::exchange(events_, {});
}

void ScriptedSyscalls::Note(const std::string& what) {
  Begin({.kind = Event::Kind::kNote, .path = what, .bytes = {}});
}

ssize_t ScriptedSyscalls::Pread(int fd, void* into, size_t length, uint64_t offset) const {
  const Verdict verdict = Judge("pread", fd, offset);
  if (verdict.error != 0) return FailWith(verdict.error);
  return Syscalls::Pread(fd, into, std::min(length, verdict.most), offset);
}

ssize_t ScriptedSyscalls::Pwrite(int fd, const void* from, size_t length, uint64_t offset) const {
  const Verdict verdict = Judge("pwrite", fd, offset);
  if (verdict.error != 0) return FailWith(verdict.error);
  const size_t wanted = std::min(length, verdict.most);
  const auto* bytes = static_cast<const std::byte*>(from);
  const uint64_t id = Begin({.kind = Event::Kind::kWrite,
                             .path = PathOf(fd),
                             .offset = offset,
                             .bytes = {bytes, bytes + wanted}});
  Dawdle();
  const ssize_t written = Syscalls::Pwrite(fd, from, wanted, offset);
  End(Event::Kind::kWritten, id, written);
  return written;
}

ssize_t ScriptedSyscalls::Read(int fd, void* into, size_t length) const {
  const Verdict verdict = Judge("read", fd, PositionOf(fd));
  if (verdict.error != 0) return FailWith(verdict.error);
  return Syscalls::Read(fd, into, std::min(length, verdict.most));
}

ssize_t ScriptedSyscalls::Writev(int fd, const iovec* vectors, int count) const {
  const uint64_t offset = PositionOf(fd);
  const Verdict verdict = Judge("writev", fd, offset);
  if (verdict.error != 0) return FailWith(verdict.error);
  const std::vector<iovec> wanted = Shortened(vectors, count, verdict.most);
  const uint64_t id = Begin(
      {.kind = Event::Kind::kWrite, .path = PathOf(fd), .offset = offset, .bytes = Joined(wanted)});
  Dawdle();
  const ssize_t written = Syscalls::Writev(fd, wanted.data(), static_cast<int>(wanted.size()));
  End(Event::Kind::kWritten, id, written);
  return written;
}

int ScriptedSyscalls::Fdatasync(int fd) const {
  return FlushAs("fdatasync", fd, &Syscalls::Fdatasync);
}

int ScriptedSyscalls::Fsync(int fd) const { return FlushAs("fsync", fd, &Syscalls::Fsync); }

int ScriptedSyscalls::FlushAs(const char* call, int fd, int (Syscalls::*real)(int) const) const {
  const int error = Judge(call, fd, 0).error;
  const std::string path = PathOf(fd);
  {
    std::lock_guard lock(mutex_);
    outcome_.flushes.push_back({path, error != 0});
  }
  if (error != 0) return FailWith(error);
  const uint64_t id = Begin({.kind = Event::Kind::kFlush, .path = path, .bytes = {}});
  Dawdle();
  // Qualified calls are not virtual, one through a pointer is: the real table is asked.
  const int result = (Syscalls::Real().*real)(fd);
  End(Event::Kind::kFlushed, id, result);
  return result;
}

int32_t ScriptedSyscalls::RingResult(int fd, Direction direction, uint64_t offset, size_t,
                                     int32_t result) const {
  const char* call = direction == Direction::kRead ? "ring read" : "ring write";
  const Verdict verdict = Judge(call, fd, offset);
  if (verdict.error != 0) return -verdict.error;
  const auto most = static_cast<int32_t>(std::min<size_t>(verdict.most, INT32_MAX));
  return std::min(result, most);
}

ScriptedSyscalls::Verdict ScriptedSyscalls::Judge(const char* call, int fd, uint64_t offset) const {
  std::lock_guard lock(mutex_);
  const uint64_t number = ++outcome_.calls;
  if (number < plan_.first || number - plan_.first >= plan_.run) return {};
  outcome_.injected++;
  if (outcome_.hits.size() < kMostHits) outcome_.hits.push_back({call, PathOf(fd), offset});
  if (plan_.error != 0) return {.error = plan_.error};
  return {.most = plan_.most};
}

uint64_t ScriptedSyscalls::Begin(Event event) const {
  std::lock_guard lock(mutex_);
  const uint64_t id = ++last_id_;
  if (!recording_) return id;
  event.id = id;
  events_.push_back(std::move(event));
  return id;
}

void ScriptedSyscalls::End(Event::Kind kind, uint64_t id, int64_t result) const {
  // What was done takes a moment to be known.
  Dawdle();
  std::lock_guard lock(mutex_);
  if (recording_) {
    events_.push_back({.kind = kind, .id = id, .path = {}, .bytes = {}, .result = result});
  }
}

void ScriptedSyscalls::Dawdle() const {
  std::chrono::microseconds pause;
  {
    std::lock_guard lock(mutex_);
    if (!recording_ || dawdle_ == 0) return;
    // Most calls are fast; some are not.
    if (random_() % 4 != 0) return;
    pause = std::chrono::microseconds(random_() % dawdle_);
  }
  std::this_thread::sleep_for(pause);
}

}  // namespace lvmsync::testing
