// JavaScript function allocateSlab.
#include <memory>

#include "../core/slab.h"
#include "addon.h"
#include "convert.h"

namespace lvmsync {
namespace {

// allocateSlab(size) -> an ArrayBuffer over page-aligned memory of the core, freed when it is
// collected.
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

}  // namespace

void InitSlab(Napi::Env env, Napi::Object exports) {
  exports.Set("allocateSlab", Napi::Function::New(env, AllocateSlab, "allocateSlab"));
}

}  // namespace lvmsync
