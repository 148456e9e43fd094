#include "core/stream/stream_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <thread>

namespace lvmsync {
namespace {

// A pause of this length costs a fast writer nothing while a pipe of a mebibyte fills.
constexpr std::chrono::microseconds kPause{500};
constexpr size_t kShortRead = 64 * 1024;
constexpr int kPipeSize = 256 * 1024;

// Waits until `fd` is ready for `events` or the work is cancelled.
Status WaitReady(int fd, short events, const Cancellation& cancellation) {
  std::array<pollfd, 2> waits{{{fd, events, 0}, {cancellation.fd(), POLLIN, 0}}};
  while (true) {
    const int ready = ::poll(waits.data(), waits.size(), -1);
    if (ready < 0 && errno != EINTR) return Status::System(errno, "poll", 0);
    if (ready < 0) continue;
    if (waits[1].revents != 0) return Status::Cancelled();
    if (waits[0].revents != 0) return Status::Ok();
  }
}

void Consume(std::vector<iovec>& vectors, size_t& next, size_t count) {
  while (count > 0) {
    iovec& vector = vectors[next];
    const size_t taken = std::min(count, vector.iov_len);
    vector.iov_base = static_cast<std::byte*>(vector.iov_base) + taken;
    vector.iov_len -= taken;
    count -= taken;
    if (vector.iov_len == 0) next++;
  }
}

}  // namespace

Cancellation::Cancellation() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void Cancellation::Cancel() const {
  const uint64_t one = 1;
  // Only a full counter can fail here, and then the event is set already.
  [[maybe_unused]] const ssize_t written = ::write(event_.get(), &one, sizeof one);
}

bool Cancellation::cancelled() const {
  pollfd wait{event_.get(), POLLIN, 0};
  return ::poll(&wait, 1, 0) > 0;
}

void WidenPipe(int fd) {
  const int size = ::fcntl(fd, F_GETPIPE_SZ);
  // Whether it could be widened changes the speed only.
  if (size >= 0 && size < kPipeSize) static_cast<void>(::fcntl(fd, F_SETPIPE_SZ, kPipeSize));
}

Status ReadSome(const Syscalls& syscalls, int fd, const Cancellation& cancellation,
                std::span<std::byte> into, size_t* count) {
  while (true) {
    if (Status status = WaitReady(fd, POLLIN, cancellation); !status.ok()) return status;
    const ssize_t result = syscalls.Read(fd, into.data(), into.size());
    if (result >= 0) {
      *count = static_cast<size_t>(result);
      return Status::Ok();
    }
    if (errno != EINTR && errno != EAGAIN) return Status::System(errno, "read", 0);
  }
}

Status ReadInBulk(const Syscalls& syscalls, int fd, const Cancellation& cancellation,
                  std::span<std::byte> into, size_t* count) {
  *count = 0;
  while (*count < into.size()) {
    size_t more = 0;
    Status status = ReadSome(syscalls, fd, cancellation, into.subspan(*count), &more);
    if (!status.ok()) return status;
    if (more == 0) break;
    *count += more;
    if (more < kShortRead) std::this_thread::sleep_for(kPause);
  }
  return Status::Ok();
}

Status WriteAll(const Syscalls& syscalls, int fd, const Cancellation& cancellation,
                std::vector<iovec>& vectors, std::atomic<uint64_t>* taken) {
  std::erase_if(vectors, [](const iovec& vector) { return vector.iov_len == 0; });
  uint64_t written = 0;
  size_t next = 0;
  while (next < vectors.size()) {
    if (Status status = WaitReady(fd, POLLOUT, cancellation); !status.ok()) {
      status.offset = written;
      return status;
    }
    const size_t count = std::min<size_t>(vectors.size() - next, IOV_MAX);
    const ssize_t result = syscalls.Writev(fd, &vectors[next], static_cast<int>(count));
    if (result < 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      return Status::System(errno, "write", written);
    }
    if (result == 0) return Status::System(ENOSPC, "write", written);
    written += static_cast<uint64_t>(result);
    taken->fetch_add(static_cast<uint64_t>(result), std::memory_order_relaxed);
    Consume(vectors, next, static_cast<size_t>(result));
  }
  return Status::Ok();
}

}  // namespace lvmsync
