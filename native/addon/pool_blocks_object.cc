// JavaScript function partlyCovered.
#include "addon/addon.h"
#include "addon/convert.h"
#include "core/io/pool_blocks.h"

namespace lvmsync {
namespace {

// partlyCovered(operations, { start, end, blockSize, shift, bareFrom }) -> pairs offset, length
Napi::Value PartlyCoveredBy(const Napi::CallbackInfo& info) {
  const auto given = info[1].As<Napi::Object>();
  const auto number = [&given](const char* name) { return WholeNumber(given.Get(name), name); };
  const PoolStretch stretch{number("start"), number("end"), number("blockSize"), number("shift"),
                            number("bareFrom")};
  if (stretch.block_size == 0) throw Napi::RangeError::New(info.Env(), "blockSize is 0");
  return FromExtents(info.Env(), PartlyCovered(OperationsOf(info[0]), stretch));
}

}  // namespace

void InitPoolBlocks(Napi::Env env, Napi::Object exports) {
  exports.Set("partlyCovered", Napi::Function::New(env, PartlyCoveredBy, "partlyCovered"));
}

}  // namespace lvmsync
