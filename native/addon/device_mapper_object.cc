// Questions to device-mapper from JavaScript.
#include "addon/addon.h"
#include "addon/convert.h"
#include "core/system/device_mapper.h"

namespace lvmsync {
namespace {

std::string TextOf(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  return value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string();
}

MappedSelector SelectorOf(const Napi::Object& given) {
  MappedSelector selector{TextOf(given, "name"), TextOf(given, "uuid"), 0};
  if (given.Has("major")) {
    const auto number = [&given](const char* name) {
      return static_cast<uint32_t>(WholeNumber(given.Get(name), name));
    };
    selector.device = EncodeDevice(number("major"), number("minor"));
  }
  return selector;
}

MappedQuestion QuestionOf(const std::string& word) {
  if (word == "table") return MappedQuestion::kTable;
  return word == "status" ? MappedQuestion::kStatus : MappedQuestion::kStatusNoFlush;
}

Napi::Value ToObject(Napi::Env env, const MappedDevice& device) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("name", device.name);
  out.Set("uuid", device.uuid);
  out.Set("number", std::to_string(device.major) + ":" + std::to_string(device.minor));
  Napi::Array targets = Napi::Array::New(env, device.targets.size());
  for (uint32_t i = 0; i < device.targets.size(); i++) {
    const MappedTarget& target = device.targets[i];
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("start", static_cast<double>(target.start));
    entry.Set("length", static_cast<double>(target.length));
    entry.Set("type", target.type);
    entry.Set("words", target.words);
    targets.Set(i, entry);
  }
  out.Set("targets", targets);
  return out;
}

// askDeviceMapper({ name } | { uuid } | { major, minor }, "table" | "status" | "statusNoFlush")
Napi::Value Ask(const Napi::CallbackInfo& info) {
  const MappedSelector selector = SelectorOf(info[0].As<Napi::Object>());
  const MappedQuestion question = QuestionOf(info[1].As<Napi::String>());
  auto device = std::make_shared<MappedDevice>();
  auto job = std::make_unique<Job>(info.Env());
  job->work = [selector, question, device] {
    return AskDeviceMapper(selector, question, device.get());
  };
  job->result = [device](Napi::Env env) { return ToObject(env, *device); };
  return DataOf(info.Env()).pool.Submit(std::move(job));
}

}  // namespace

void InitDeviceMapper(Napi::Env env, Napi::Object exports) {
  exports.Set("askDeviceMapper", Napi::Function::New(env, Ask, "askDeviceMapper"));
}

}  // namespace lvmsync
