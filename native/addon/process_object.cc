// JavaScript functions around the calls of the kernel that neither read nor write: makePipe,
// unreadBytes, isHungUp, lockFile, isFileLocked, setIoPriority, setIdlePolicy, endProcess.
#include <string>

#include "addon/addon.h"
#include "addon/convert.h"
#include "core/system/process.h"

namespace lvmsync {
namespace {

int IntOf(const Napi::Value& value, const char* what) {
  return static_cast<int>(WholeNumber(value, what));
}

// makePipe("ours" | "theirs") -> { readFd, writeFd }
Napi::Value Pipe(const Napi::CallbackInfo& info) {
  const bool ours = std::string(info[0].As<Napi::String>()) == "ours";
  PipeEnds ends;
  const Status status = MakePipe(ours ? PipeWriter::kOurs : PipeWriter::kTheirs, &ends);
  if (!status.ok()) throw ToError(info.Env(), status);
  Napi::Object out = Napi::Object::New(info.Env());
  out.Set("readFd", ends.read);
  out.Set("writeFd", ends.write);
  return out;
}

// unreadBytes(fd) -> number
Napi::Value Unread(const Napi::CallbackInfo& info) {
  uint64_t count = 0;
  const Status status = UnreadBytes(IntOf(info[0], "fd"), &count);
  if (!status.ok()) throw ToError(info.Env(), status);
  return Napi::Number::New(info.Env(), static_cast<double>(count));
}

// isHungUp(fd) -> boolean
Napi::Value HungUp(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), IsHungUp(IntOf(info[0], "fd")));
}

// lockFile(fd) -> boolean
Napi::Value Lock(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), LockFile(IntOf(info[0], "fd")));
}

// isFileLocked(fd) -> boolean, or null where that cannot be known.
Napi::Value IsLocked(const Napi::CallbackInfo& info) {
  const std::optional<bool> locked = IsFileLocked(IntOf(info[0], "fd"));
  if (!locked) return info.Env().Null();
  return Napi::Boolean::New(info.Env(), *locked);
}

// setIoPriority(thread, class, level)
Napi::Value IoPriority(const Napi::CallbackInfo& info) {
  const pid_t thread = IntOf(info[0], "thread");
  const int io_class = IntOf(info[1], "class");
  const int level = IntOf(info[2], "level");
  const Status status = SetIoPriority(thread, io_class, level);
  if (!status.ok()) throw ToError(info.Env(), status);
  return info.Env().Undefined();
}

// setIdlePolicy(thread, idle)
Napi::Value IdlePolicy(const Napi::CallbackInfo& info) {
  const Status status = SetIdlePolicy(IntOf(info[0], "thread"), info[1].ToBoolean());
  if (!status.ok()) throw ToError(info.Env(), status);
  return info.Env().Undefined();
}

// endProcess(status): without anything that Node does at its end. Does not return.
Napi::Value End(const Napi::CallbackInfo& info) { EndProcess(IntOf(info[0], "status")); }

}  // namespace

void InitProcess(Napi::Env env, Napi::Object exports) {
  exports.Set("makePipe", Napi::Function::New(env, Pipe, "makePipe"));
  exports.Set("unreadBytes", Napi::Function::New(env, Unread, "unreadBytes"));
  exports.Set("isHungUp", Napi::Function::New(env, HungUp, "isHungUp"));
  exports.Set("lockFile", Napi::Function::New(env, Lock, "lockFile"));
  exports.Set("isFileLocked", Napi::Function::New(env, IsLocked, "isFileLocked"));
  exports.Set("setIoPriority", Napi::Function::New(env, IoPriority, "setIoPriority"));
  exports.Set("setIdlePolicy", Napi::Function::New(env, IdlePolicy, "setIdlePolicy"));
  exports.Set("endProcess", Napi::Function::New(env, End, "endProcess"));
}

}  // namespace lvmsync
