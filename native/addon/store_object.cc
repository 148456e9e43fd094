// JavaScript functions around the exception-store decoder.
#include <memory>
#include <utility>

#include "addon/addon.h"
#include "addon/convert.h"
#include "core/store/exception_store.h"
#include "core/store/file_store_reader.h"

namespace lvmsync {
namespace {

// A part that the kernel is writing now is read again up to about a second long in all.
constexpr uint32_t kLiveTornRetries = 10;

// decodeStore(file, originSize, areasKnown or null) -> Promise<{ chunkSize, exceptions, extents }>
// where extents are pairs offset, length.
Napi::Value Decode(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  DecodeLimits limits;
  limits.origin_size = WholeNumber(info[1], "originSize");
  // null: a store that nobody writes to, all of which may be read ahead.
  limits.areas_known = info[2].IsNull() ? UINT64_MAX : WholeNumber(info[2], "areasKnown");
  limits.torn_retries = info[2].IsNull() ? 0 : kLiveTornRetries;
  auto decoded = std::make_shared<DecodedStore>();
  const BlockFileUse use(info[0]);
  auto job = std::make_unique<Job>(env);
  job->keep.push_back(Keep(info[0]));
  job->work = [use, limits, decoded, engine = EngineOf(env)] {
    FileStoreReader reader(TheSyscalls(), *engine, use.file());
    if (Status status = reader.Open(); !status.ok()) return status;
    return DecodeStore(reader, limits, decoded.get());
  };
  job->settled = [use] { use.End(); };
  job->result = [decoded](Napi::Env inner) -> Napi::Value {
    Napi::Object out = Napi::Object::New(inner);
    out.Set("chunkSize", decoded->chunk_size);
    out.Set("exceptions", static_cast<double>(decoded->exceptions));
    out.Set("extents", TakeExtents(inner, std::move(decoded->extents)));
    return out;
  };
  return DataOf(env).pool.Submit(std::move(job));
}

// readStoreHeader(file) -> Promise<{ chunkSize }>; rejects where the store is unusable.
Napi::Value ReadHeader(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto header = std::make_shared<StoreHeader>();
  const BlockFileUse use(info[0]);
  auto job = std::make_unique<Job>(env);
  job->keep.push_back(Keep(info[0]));
  job->work = [use, header, engine = EngineOf(env)] {
    FileStoreReader reader(TheSyscalls(), *engine, use.file());
    if (Status status = reader.Open(); !status.ok()) return status;
    return ReadStoreHeader(reader, header.get());
  };
  job->settled = [use] { use.End(); };
  job->result = [header](Napi::Env inner) -> Napi::Value {
    Napi::Object out = Napi::Object::New(inner);
    out.Set("chunkSize", header->chunk_size);
    return out;
  };
  return DataOf(env).pool.Submit(std::move(job));
}

// expectedExceptions(allocatedSectors, chunkSectors) -> number, or null where they do not fit.
Napi::Value Expected(const Napi::CallbackInfo& info) {
  const auto expected = ExpectedExceptions(WholeNumber(info[0], "allocatedSectors"),
                                           WholeNumber(info[1], "chunkSectors"));
  if (!expected) return info.Env().Null();
  return Napi::Number::New(info.Env(), static_cast<double>(*expected));
}

}  // namespace

void InitStore(Napi::Env env, Napi::Object exports) {
  exports.Set("decodeStore", Napi::Function::New(env, Decode, "decodeStore"));
  exports.Set("readStoreHeader", Napi::Function::New(env, ReadHeader, "readStoreHeader"));
  exports.Set("expectedExceptions", Napi::Function::New(env, Expected, "expectedExceptions"));
}

}  // namespace lvmsync
