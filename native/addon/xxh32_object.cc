// JavaScript class Xxh32.
#include "addon/addon.h"
#include "addon/convert.h"
#include "core/stream/xxh32.h"

namespace lvmsync {
namespace {

class Xxh32Object : public Napi::ObjectWrap<Xxh32Object> {
 public:
  explicit Xxh32Object(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Xxh32Object>(info) {}

  static Napi::Function Define(Napi::Env env) {
    return DefineClass(
        env, "Xxh32",
        {InstanceMethod("update", &Xxh32Object::Update), InstanceMethod("sum", &Xxh32Object::Sum)});
  }

 private:
  Napi::Value Update(const Napi::CallbackInfo& info) {
    sum_.Update(BytesOf(info[0]));
    return info.This();
  }

  Napi::Value Sum(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), sum_.Sum());
  }

  Xxh32 sum_;
};

}  // namespace

void InitXxh32(Napi::Env env, Napi::Object exports) {
  exports.Set("Xxh32", Xxh32Object::Define(env));
}

}  // namespace lvmsync
