// JavaScript functions around the exception-store decoder.
#include "../core/exception_store.h"
#include "addon.h"
#include "convert.h"

namespace lvmsync {
namespace {

// A COW store on a device or in a file. Files of any size: what lies behind the last whole block is
// read through the page cache.
class DeviceStoreReader final : public StoreReader {
 public:
  DeviceStoreReader(IoEngine& engine, const BlockFile& file, uint64_t size)
      : engine_(engine), file_(file), size_(size) {}

  uint64_t size() const override { return size_; }
  uint32_t alignment() const override { return file_.direct() ? file_.info().alignment : 512; }
  uint32_t logical_block() const override {
    return file_.info().block_device ? file_.info().alignment : 512;
  }

  Status Read(std::span<const Extent> extents, std::span<std::byte> into) override {
    std::vector<Operation> operations;
    operations.reserve(extents.size());
    uint64_t position = 0;
    for (const Extent& extent : extents) {
      operations.push_back({extent.offset, extent.length, position});
      position += extent.length;
    }
    return RunBatch(TheSyscalls(), engine_, file_, Direction::kRead, into, operations);
  }

 private:
  IoEngine& engine_;
  const BlockFile& file_;
  uint64_t size_;
};

// What the kernel is writing now is read again up to about a second long in all.
constexpr uint32_t kLiveTornRetries = 10;

// decodeStore(file, originSize, areasKnown or null) -> Promise<{ chunkSize, exceptions, areas,
// extents }> where extents are pairs offset, length.
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
    uint64_t size = 0;
    if (Status status = use.file().Size(&size); !status.ok()) return status;
    DeviceStoreReader reader(*engine, use.file(), size);
    return DecodeStore(reader, limits, decoded.get());
  };
  job->settled = [use] { use.End(); };
  job->result = [decoded](Napi::Env inner) -> Napi::Value {
    Napi::Object out = Napi::Object::New(inner);
    out.Set("chunkSize", decoded->chunk_size);
    out.Set("exceptions", static_cast<double>(decoded->exceptions));
    out.Set("areas", static_cast<double>(decoded->areas));
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
    uint64_t size = 0;
    if (Status status = use.file().Size(&size); !status.ok()) return status;
    DeviceStoreReader reader(*engine, use.file(), size);
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
