// JavaScript function allocateSlab.
#include <memory>

#include "addon/addon.h"
#include "addon/convert.h"
#include "core/base/slab.h"

namespace lvmsync {
namespace {

// allocateSlab(size) -> an ArrayBuffer over page-aligned memory of the core, freed when it is
// collected.
Napi::Value AllocateSlab(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto size = static_cast<size_t>(WholeNumber(info[0], "size"));
  auto slab = std::make_unique<Slab>(Slab::Allocate(size));
  if (slab->size() == 0) throw ToError(env, Status::System(ENOMEM, "mmap", 0));
  const auto buffer = Napi::ArrayBuffer::New(
      env, slab->data(), slab->size(), [](Napi::Env, void*, Slab* owned) { delete owned; },
      slab.get());
  // The buffer owns it from here on.
  static_cast<void>(slab.release());
  return buffer;
}

}  // namespace

void InitSlab(Napi::Env env, Napi::Object exports) {
  exports.Set("allocateSlab", Napi::Function::New(env, AllocateSlab, "allocateSlab"));
}

}  // namespace lvmsync
