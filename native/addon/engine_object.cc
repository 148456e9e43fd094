// JavaScript function selectEngine, and the engine that all files of an environment share.
#include <cstring>
#include <memory>
#include <string>

#include "addon/addon.h"
#include "addon/convert.h"
#include "core/io/io_engine.h"

namespace lvmsync {
namespace {

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

}  // namespace

std::shared_ptr<IoEngine> EngineOf(Napi::Env env) {
  AddonData& data = DataOf(env);
  int refused = 0;
  if (data.engine == nullptr) data.engine = MakeEngine("auto", &refused);
  return data.engine;
}

void InitEngine(Napi::Env env, Napi::Object exports) {
  exports.Set("selectEngine", Napi::Function::New(env, SelectEngine, "selectEngine"));
}

}  // namespace lvmsync
