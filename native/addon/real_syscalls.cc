// The system calls of the addon that ships.
#include "addon/addon.h"

namespace lvmsync {

const Syscalls& TheSyscalls() { return Syscalls::Real(); }

void InitSyscalls(Napi::Env, Napi::Object) {}

}  // namespace lvmsync
