// Other calls of the kernel than reading and writing: pipes, locks between processes, priorities of
// threads, the end of this process. None of them waits, so they may run on any thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "core/base/result.h"

namespace lvmsync {

// Descriptors, the caller's to close.
struct PipeEnds {
  int read = -1;
  int write = -1;
};

enum class PipeWriter : uint8_t {
  kOurs,    // its end never blocks, so that it can be cancelled while its reader does not read
  kTheirs,  // its end blocks, as usual
};

// A pipe whose ends no child inherits by accident, with room for 1 MiB where the system allows it.
// The reading end blocks. A failed call is "pipe2".
Status MakePipe(PipeWriter writer, PipeEnds* ends);

// Bytes that were written into the pipe `fd` and nobody has read. Takes nothing out of it. A failed
// call is "ioctl".
Status UnreadBytes(int fd, uint64_t* count);

// Whether nobody has the other end of the pipe or socket `fd` any more. False where it was only
// shut down for one direction, and for what is neither.
bool IsHungUp(int fd);

// Whether this process now has the lock (flock) on the open file. False, too, where the file system
// has no such locks. The lock ends when the last copy of the descriptor is closed.
bool LockFile(int fd);

// Whether another open file has that lock; nullopt where that cannot be known.
std::optional<bool> IsFileLocked(int fd);

// Sets what ionice sets, for `thread` of this process and the threads that it starts from now on.
// Classes: 1 real time, 2 best effort, 3 idle; levels 0 (most) to 7. A thread that was told nothing
// has class 0. A failed call is "ioprio_set".
Status SetIoPriority(pid_t thread, int io_class, int level);

// Whether `thread` of this process, and the threads that it starts from now on, run only where no
// other wants the processor (SCHED_IDLE). A failed call is "sched_setscheduler".
Status SetIdlePolicy(pid_t thread, bool idle);

// Ends this process at once: nothing that was registered for its end runs.
[[noreturn]] void EndProcess(int status);

}  // namespace lvmsync
