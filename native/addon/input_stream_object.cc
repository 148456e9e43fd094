// JavaScript class InputStream: the bytes of a descriptor, in order; and the function readInBulk.
#include <memory>

#include "addon/addon.h"
#include "addon/convert.h"
#include "core/stream/stream_file.h"

namespace lvmsync {
namespace {

class InputStreamObject : public Napi::ObjectWrap<InputStreamObject> {
 public:
  explicit InputStreamObject(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<InputStreamObject>(info),
        fd_(static_cast<int>(WholeNumber(info[0], "fd"))) {}

  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "InputStream",
                       {InstanceMethod("read", &InputStreamObject::Read),
                        InstanceMethod("cancel", &InputStreamObject::Cancel)});
  }

 private:
  // read(arrayBuffer) -> Promise<number of bytes>, 0 only at the end.
  Napi::Value Read(const Napi::CallbackInfo& info) {
    const std::span<std::byte> into = BytesOf(info[0]);
    auto count = std::make_shared<size_t>();
    auto job = std::make_unique<Job>(info.Env());
    job->keep.push_back(Keep(info[0]));
    job->keep.push_back(Keep(info.This()));
    job->work = [fd = fd_, cancellation = cancellation_, into, count] {
      return ReadSome(TheSyscalls(), fd, *cancellation, into, count.get());
    };
    job->result = [count](Napi::Env env) -> Napi::Value {
      return Napi::Number::New(env, static_cast<double>(*count));
    };
    return DataOf(info.Env()).pool.Submit(std::move(job));
  }

  Napi::Value Cancel(const Napi::CallbackInfo& info) {
    cancellation_->Cancel();
    return info.Env().Undefined();
  }

  int fd_;
  std::shared_ptr<Cancellation> cancellation_ = std::make_shared<Cancellation>();
};

// readInBulk(fd, arrayBuffer) -> Promise<number of bytes>, fewer than fit only at the end of input.
Napi::Value ReadBulk(const Napi::CallbackInfo& info) {
  const auto fd = static_cast<int>(WholeNumber(info[0], "fd"));
  const std::span<std::byte> into = BytesOf(info[1]);
  auto count = std::make_shared<size_t>();
  auto job = std::make_unique<Job>(info.Env());
  job->keep.push_back(Keep(info[1]));
  job->work = [fd, into, count] {
    return ReadInBulk(TheSyscalls(), fd, Cancellation(), into, count.get());
  };
  job->result = [count](Napi::Env env) -> Napi::Value {
    return Napi::Number::New(env, static_cast<double>(*count));
  };
  return DataOf(info.Env()).pool.Submit(std::move(job));
}

}  // namespace

void InitInputStream(Napi::Env env, Napi::Object exports) {
  exports.Set("InputStream", InputStreamObject::Define(env));
  exports.Set("readInBulk", Napi::Function::New(env, ReadBulk, "readInBulk"));
}

}  // namespace lvmsync
