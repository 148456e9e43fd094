// Pipes, locks and priorities, as the kernel sees them.
#include "core/system/process.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>

#include "batch_media.h"
#include "testing.h"

namespace lvmsync {
namespace {

using testing::Expect;
using testing::ExpectEqual;

// No descriptor, and no thread.
constexpr int kNothing = -1;

FileDescriptor OpenAgain(const testing::TempFile& file) {
  FileDescriptor again(::open(file.path().c_str(), O_RDWR | O_CLOEXEC));
  Expect(again.valid(), "opened again");
  return again;
}

void MakesPipes() {
  for (const PipeWriter writer : {PipeWriter::kOurs, PipeWriter::kTheirs}) {
    PipeEnds ends;
    const Status status = MakePipe(writer, &ends);
    Expect(status.ok(), testing::Describe(status));
    const FileDescriptor read_end(ends.read);
    const FileDescriptor write_end(ends.write);
    Expect((::fcntl(ends.read, F_GETFL) & O_NONBLOCK) == 0, "the reading end blocks");
    Expect(((::fcntl(ends.write, F_GETFL) & O_NONBLOCK) != 0) == (writer == PipeWriter::kOurs),
           "the writing end does where it is not ours");
    for (const int end : {ends.read, ends.write}) {
      Expect((::fcntl(end, F_GETFD) & FD_CLOEXEC) != 0, "no child inherits it");
    }
  }
}

void CountsUnreadBytes() {
  PipeEnds ends;
  Expect(MakePipe(PipeWriter::kOurs, &ends).ok(), "a pipe");
  const FileDescriptor read_end(ends.read);
  const FileDescriptor write_end(ends.write);
  Expect(::write(ends.write, "12345", 5) == 5, "five bytes");
  for (int round = 0; round < 2; round++) {
    uint64_t count = 0;
    Expect(UnreadBytes(ends.read, &count).ok(), "counted");
    ExpectEqual<uint64_t>(count, 5, "nothing was taken");
  }
  uint64_t count = 0;
  const Status status = UnreadBytes(kNothing, &count);
  ExpectEqual(status.error, EBADF, "the errno");
  ExpectEqual<std::string>(status.syscall, "ioctl", "the call");
}

void NoticesHangUps() {
  PipeEnds ends;
  Expect(MakePipe(PipeWriter::kOurs, &ends).ok(), "a pipe");
  FileDescriptor read_end(ends.read);
  const FileDescriptor write_end(ends.write);
  Expect(::write(ends.write, "1", 1) == 1, "a byte");
  Expect(!IsHungUp(ends.write), "somebody can read");
  Expect(read_end.Close() == 0, "closed");
  Expect(IsHungUp(ends.write), "nobody can");
  int sockets[2];
  Expect(::socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0, "a pair of sockets");
  const FileDescriptor ours(sockets[0]);
  FileDescriptor theirs(sockets[1]);
  Expect(::shutdown(theirs.get(), SHUT_WR) == 0, "shut down");
  Expect(!IsHungUp(ours.get()), "it sends no more, and may read");
  Expect(theirs.Close() == 0, "closed");
  Expect(IsHungUp(ours.get()), "it is gone");
  const testing::TempFile file;
  Expect(!IsHungUp(OpenAgain(file).get()), "a file does not hang up");
}

void LocksFiles() {
  const testing::TempFile file;
  FileDescriptor first = OpenAgain(file);
  const FileDescriptor second = OpenAgain(file);
  Expect(IsFileLocked(second.get()) == false, "nobody has it");
  Expect(LockFile(first.get()), "the first has it");
  Expect(!LockFile(second.get()), "the second does not get it");
  Expect(IsFileLocked(second.get()) == true, "and sees why");
  Expect(first.Close() == 0, "closed");
  Expect(IsFileLocked(second.get()) == false, "looking took nothing");
  Expect(LockFile(second.get()), "so it is free");
  Expect(!LockFile(kNothing), "no file, no lock");
  Expect(!IsFileLocked(kNothing).has_value(), "nor an answer");
}

// Priorities, once low, may not be raised again: in a thread of its own.
void SetsPrioritiesOfAThread() {
  constexpr int kWhoProcess = 1;
  long io = 0;
  int policy = 0;
  Status statuses[2];
  std::thread([&] {
    const auto self = static_cast<pid_t>(::syscall(SYS_gettid));
    statuses[0] = SetIoPriority(self, 2, 7);
    io = ::syscall(SYS_ioprio_get, kWhoProcess, 0);
    statuses[1] = SetIdlePolicy(self, true);
    policy = ::sched_getscheduler(0);
  }).join();
  for (const Status& status : statuses) Expect(status.ok(), testing::Describe(status));
  ExpectEqual<long>(io, 2 << 13 | 7, "class and level");
  ExpectEqual(policy, SCHED_IDLE, "the policy");
  ExpectEqual(::sched_getscheduler(0), SCHED_OTHER, "of the other threads");
}

void ReportsRefusedPriorities() {
  const Status io = SetIoPriority(0, 7, 0);
  ExpectEqual(io.error, EINVAL, "no such class");
  ExpectEqual<std::string>(io.syscall, "ioprio_set", "the call");
  const Status idle = SetIdlePolicy(kNothing, true);
  ExpectEqual(idle.error, EINVAL, "no such thread");
  ExpectEqual<std::string>(idle.syscall, "sched_setscheduler", "the call");
}

const testing::Suite kSuite{
    {"a pipe of ours does not block its writer, one of theirs does", MakesPipes},
    {"unread bytes are counted and stay in the pipe", CountsUnreadBytes},
    {"it is noticed that the other end is gone", NoticesHangUps},
    {"one open file at a time has the lock, and others can see that", LocksFiles},
    {"priorities are those of one thread", SetsPrioritiesOfAThread},
    {"a priority that is refused names the call", ReportsRefusedPriorities},
};

}  // namespace
}  // namespace lvmsync
