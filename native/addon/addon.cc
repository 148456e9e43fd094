// Entry of the addon: converts arguments, runs one core call on a worker, settles one promise.
#include "addon.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>

#include "../core/pool_blocks.h"
#include "../core/slab.h"
#include "convert.h"

namespace lvmsync {
namespace {

// An ArrayBuffer over page-aligned memory of the core, freed when it is collected.
Napi::Value AllocateSlab(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto* slab = new Slab(Slab::Allocate(static_cast<size_t>(WholeNumber(info[0], "size"))));
  if (slab->size() == 0) {
    delete slab;
    throw ToError(env, Status::System(ENOMEM, "mmap", 0));
  }
  return Napi::ArrayBuffer::New(
      env, slab->data(), slab->size(), [](Napi::Env, void*, Slab* owned) { delete owned; }, slab);
}

// io_uring unless `wanted` says "threads"; `error` is why it was refused, 0 if it was not.
std::shared_ptr<IoEngine> MakeEngine(const std::string& wanted, int* error) {
  std::shared_ptr<IoEngine> engine;
  if (wanted != "threads") engine = MakeRingEngine(TheSyscalls(), error);
  if (engine == nullptr && wanted != "uring") engine = MakeThreadEngine(TheSyscalls());
  return engine;
}

// selectEngine("uring" | "threads" | "auto") -> { name, refused } where refused is the errno's name
// with which io_uring was refused, or null. "uring" fails where it is refused.
Napi::Value SelectEngine(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  int error = 0;
  std::shared_ptr<IoEngine> engine = MakeEngine(info[0].As<Napi::String>(), &error);
  if (engine == nullptr) throw ToError(env, Status::System(error, "io_uring_setup", 0));
  DataOf(env).engine = engine;
  Napi::Object out = Napi::Object::New(env);
  out.Set("name", engine->name());
  out.Set("refused", error == 0 ? env.Null() : Napi::String::New(env, ::strerrorname_np(error)));
  return out;
}

// A pipe whose ends no child inherits by accident: { readFd, writeFd }. makePipe("ours") is for a
// writer of ours, which never blocks, so that it can be cancelled while its reader does not read;
// the other end, and both ends of makePipe("theirs"), are as usual.
Napi::Value MakePipe(const Napi::CallbackInfo& info) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw ToError(info.Env(), Status::System(errno, "pipe2", 0));
  // A larger pipe means fewer switches between the two sides; refused, it works as it is.
  ::fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
  if (std::string(info[0].As<Napi::String>()) == "ours") {
    ::fcntl(ends[1], F_SETFL, O_WRONLY | O_NONBLOCK);
  }
  Napi::Object out = Napi::Object::New(info.Env());
  out.Set("readFd", ends[0]);
  out.Set("writeFd", ends[1]);
  return out;
}

// unreadBytes(fd): what was written into the pipe and nobody has read. Takes nothing out of it.
Napi::Value UnreadBytes(const Napi::CallbackInfo& info) {
  int count = 0;
  if (::ioctl(static_cast<int>(WholeNumber(info[0], "fd")), FIONREAD, &count) != 0) {
    throw ToError(info.Env(), Status::System(errno, "ioctl", 0));
  }
  return Napi::Number::New(info.Env(), count);
}

// lockFile(fd): whether this process now has the lock (flock) on the open file. False, too, where
// the file system has no such locks. It ends when the last copy of the descriptor is closed.
Napi::Value LockFile(const Napi::CallbackInfo& info) {
  const int fd = static_cast<int>(WholeNumber(info[0], "fd"));
  return Napi::Boolean::New(info.Env(), ::flock(fd, LOCK_EX | LOCK_NB) == 0);
}

// isFileLocked(fd): whether another open file has that lock; null where that cannot be known.
Napi::Value IsFileLocked(const Napi::CallbackInfo& info) {
  const int fd = static_cast<int>(WholeNumber(info[0], "fd"));
  // Shared, so that several can look at once.
  if (::flock(fd, LOCK_SH | LOCK_NB) == 0) {
    ::flock(fd, LOCK_UN);
    return Napi::Boolean::New(info.Env(), false);
  }
  if (errno != EWOULDBLOCK) return info.Env().Null();
  return Napi::Boolean::New(info.Env(), true);
}

// endProcess(status): at once, without anything that Node does at its end. Does not return.
Napi::Value EndProcess(const Napi::CallbackInfo& info) {
  ::_exit(static_cast<int>(WholeNumber(info[0], "status")));
}

// setIoPriority(thread, class, level): what ionice sets, for one thread of this process and those
// that it starts from now on. Classes 1 real time, 2 best effort, 3 idle; levels 0 (most) to
// 7. Class 0 is what a thread has that was told nothing.
Napi::Value SetIoPriority(const Napi::CallbackInfo& info) {
  constexpr int kWhoProcess = 1;
  constexpr int kClassShift = 13;
  const auto thread = static_cast<int>(WholeNumber(info[0], "thread"));
  const auto klass = static_cast<int>(WholeNumber(info[1], "class"));
  const auto level = static_cast<int>(WholeNumber(info[2], "level"));
  const int priority = (klass << kClassShift) | level;
  if (::syscall(SYS_ioprio_set, kWhoProcess, thread, priority) != 0) {
    throw ToError(info.Env(), Status::System(errno, "ioprio_set", 0));
  }
  return info.Env().Undefined();
}

// setIdlePolicy(thread, idle): whether one thread of this process, and those that it starts from
// now on, run only where no other wants the processor (SCHED_IDLE).
Napi::Value SetIdlePolicy(const Napi::CallbackInfo& info) {
  const auto thread = static_cast<pid_t>(WholeNumber(info[0], "thread"));
  const int policy = info[1].ToBoolean() ? SCHED_IDLE : SCHED_OTHER;
  const sched_param parameters{};
  if (::sched_setscheduler(thread, policy, &parameters) != 0) {
    throw ToError(info.Env(), Status::System(errno, "sched_setscheduler", 0));
  }
  return info.Env().Undefined();
}

// partlyCovered(operations, { start, end, blockSize, shift, bareFrom }): pairs offset, length.
Napi::Value PartlyCoveredBy(const Napi::CallbackInfo& info) {
  const auto given = info[1].As<Napi::Object>();
  const auto number = [&given](const char* name) { return WholeNumber(given.Get(name), name); };
  const PoolStretch stretch{number("start"), number("end"), number("blockSize"), number("shift"),
                            number("bareFrom")};
  if (stretch.block_size == 0) throw Napi::RangeError::New(info.Env(), "blockSize is 0");
  return FromExtents(info.Env(), PartlyCovered(OperationsOf(info[0]), stretch));
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  auto* data = new AddonData(env);
  // Node deletes the instance data itself; the pool must hear of the end before that.
  env.SetInstanceData(data);
  env.AddCleanupHook([data] { data->pool.Shutdown(); });
  exports.Set("allocateSlab", Napi::Function::New(env, AllocateSlab, "allocateSlab"));
  exports.Set("partlyCovered", Napi::Function::New(env, PartlyCoveredBy, "partlyCovered"));
  exports.Set("selectEngine", Napi::Function::New(env, SelectEngine, "selectEngine"));
  exports.Set("lockFile", Napi::Function::New(env, LockFile, "lockFile"));
  exports.Set("isFileLocked", Napi::Function::New(env, IsFileLocked, "isFileLocked"));
  exports.Set("makePipe", Napi::Function::New(env, MakePipe, "makePipe"));
  exports.Set("endProcess", Napi::Function::New(env, EndProcess, "endProcess"));
  exports.Set("unreadBytes", Napi::Function::New(env, UnreadBytes, "unreadBytes"));
  exports.Set("setIoPriority", Napi::Function::New(env, SetIoPriority, "setIoPriority"));
  exports.Set("setIdlePolicy", Napi::Function::New(env, SetIdlePolicy, "setIdlePolicy"));
  InitBlockFile(env, exports);
  InitDeviceMapper(env, exports);
  InitStreams(env, exports);
  InitStore(env, exports);
  InitSyscalls(env, exports);
  return exports;
}

}  // namespace

AddonData& DataOf(Napi::Env env) { return *env.GetInstanceData<AddonData>(); }

std::shared_ptr<IoEngine> EngineOf(Napi::Env env) {
  AddonData& data = DataOf(env);
  int refused = 0;
  if (data.engine == nullptr) data.engine = MakeEngine("auto", &refused);
  return data.engine;
}

NODE_API_MODULE(lvmsync, Init)

}  // namespace lvmsync
