// JavaScript class ExtentSet.
#include <vector>

#include "addon/addon.h"
#include "addon/convert.h"
#include "core/stream/extent_set.h"

namespace lvmsync {
namespace {

class ExtentSetObject : public Napi::ObjectWrap<ExtentSetObject> {
 public:
  explicit ExtentSetObject(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<ExtentSetObject>(info) {}

  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "ExtentSet", {InstanceMethod("add", &ExtentSetObject::Add)});
  }

 private:
  // add(operations) -> those parts of them that were not in the set before.
  Napi::Value Add(const Napi::CallbackInfo& info) {
    std::vector<Operation> fresh;
    for (const Operation& operation : OperationsOf(info[0])) {
      for (const Extent& part : set_.Add({operation.offset, operation.length})) {
        fresh.push_back(
            {part.offset, part.length, operation.slab_position + (part.offset - operation.offset)});
      }
    }
    if (set_.crowded()) {
      const char* why = "too many scattered places smaller than a page";
      throw ToError(info.Env(), Status::Corrupt(0, why));
    }
    return FromOperations(info.Env(), fresh);
  }

  ExtentSet set_;
};

}  // namespace

void InitExtentSet(Napi::Env env, Napi::Object exports) {
  exports.Set("ExtentSet", ExtentSetObject::Define(env));
}

}  // namespace lvmsync
