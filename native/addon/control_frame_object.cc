// JavaScript function encodeFrame.
#include <vector>

#include "addon/addon.h"
#include "addon/convert.h"
#include "core/stream/control_frame.h"

namespace lvmsync {
namespace {

// encodeFrame(type, payload) -> Buffer
Napi::Value EncodeFrameBytes(const Napi::CallbackInfo& info) {
  const auto type = static_cast<uint8_t>(WholeNumber(info[0], "type"));
  const std::span<std::byte> payload = BytesOf(info[1]);
  if (payload.size() > kMaxPayloadWords * 2) {
    throw Napi::RangeError::New(info.Env(), "the frame is too long");
  }
  const std::vector<std::byte> bytes = EncodeFrame(type, payload);
  return CopyBytes(info.Env(), bytes.data(), bytes.size());
}

}  // namespace

void InitControlFrame(Napi::Env env, Napi::Object exports) {
  exports.Set("encodeFrame", Napi::Function::New(env, EncodeFrameBytes, "encodeFrame"));
}

}  // namespace lvmsync
