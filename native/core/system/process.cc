#include "core/system/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace lvmsync {

Status MakePipe(PipeWriter writer, PipeEnds* ends) {
  int made[2];
  if (::pipe2(made, O_CLOEXEC) != 0) return Status::System(errno, "pipe2", 0);
  // A larger pipe means fewer switches between the two sides; refused, it works as it is.
  ::fcntl(made[1], F_SETPIPE_SZ, 1 << 20);
  if (writer == PipeWriter::kOurs) ::fcntl(made[1], F_SETFL, O_WRONLY | O_NONBLOCK);
  *ends = {made[0], made[1]};
  return Status::Ok();
}

Status UnreadBytes(int fd, uint64_t* count) {
  int unread = 0;
  if (::ioctl(fd, FIONREAD, &unread) != 0) return Status::System(errno, "ioctl", 0);
  *count = static_cast<uint64_t>(unread);
  return Status::Ok();
}

bool IsHungUp(int fd) {
  pollfd poll{fd, 0, 0};
  return ::poll(&poll, 1, 0) == 1 && (poll.revents & (POLLHUP | POLLERR)) != 0;
}

bool LockFile(int fd) { return ::flock(fd, LOCK_EX | LOCK_NB) == 0; }

std::optional<bool> IsFileLocked(int fd) {
  // Shared, so that several can look at once.
  if (::flock(fd, LOCK_SH | LOCK_NB) == 0) {
    ::flock(fd, LOCK_UN);
    return false;
  }
  if (errno != EWOULDBLOCK) return std::nullopt;
  return true;
}

Status SetIoPriority(pid_t thread, int io_class, int level) {
  constexpr int kWhoProcess = 1;
  constexpr int kClassShift = 13;
  const int priority = (io_class << kClassShift) | level;
  if (::syscall(SYS_ioprio_set, kWhoProcess, thread, priority) != 0) {
    return Status::System(errno, "ioprio_set", 0);
  }
  return Status::Ok();
}

Status SetIdlePolicy(pid_t thread, bool idle) {
  const sched_param parameters{};
  if (::sched_setscheduler(thread, idle ? SCHED_IDLE : SCHED_OTHER, &parameters) != 0) {
    return Status::System(errno, "sched_setscheduler", 0);
  }
  return Status::Ok();
}

void EndProcess(int status) { ::_exit(status); }

}  // namespace lvmsync
