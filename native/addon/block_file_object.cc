// JavaScript class BlockFile: open, readBatch, hashBatch, compareBatch, findData, writeBatch,
// punch, sync, resize, close.
#include <functional>

#include "addon/addon.h"
#include "addon/convert.h"
#include "core/io/compare.h"
#include "core/io/find_data.h"
#include "core/io/punch.h"

namespace lvmsync {
namespace {

class BlockFileObject : public Napi::ObjectWrap<BlockFileObject> {
 public:
  explicit BlockFileObject(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<BlockFileObject>(info),
        file_(*info[0].As<Napi::External<std::shared_ptr<BlockFile>>>().Data()) {}

  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "BlockFile",
                       {StaticMethod("open", &BlockFileObject::Open),
                        InstanceMethod("info", &BlockFileObject::Info),
                        InstanceMethod("size", &BlockFileObject::Size),
                        InstanceMethod("readBatch", &BlockFileObject::ReadBatch),
                        InstanceMethod("hashBatch", &BlockFileObject::HashBatchOf),
                        InstanceMethod("compareBatch", &BlockFileObject::CompareBatch),
                        InstanceMethod("findData", &BlockFileObject::FindDataIn),
                        InstanceMethod("writeBatch", &BlockFileObject::WriteBatch),
                        InstanceMethod("punch", &BlockFileObject::Punch),
                        InstanceMethod("sync", &BlockFileObject::Sync),
                        InstanceMethod("resize", &BlockFileObject::Resize),
                        InstanceMethod("close", &BlockFileObject::Close)});
  }

  std::shared_ptr<BlockFile> Begin() {
    if (closing_) throw Napi::Error::New(Env(), "the file is closed");
    running_++;
    return file_;
  }

  void End() {
    if (--running_ == 0 && close_) std::exchange(close_, nullptr)();
  }

 private:
  static Napi::Value Open(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const auto given = info[1].As<Napi::Object>();
    OpenOptions options;
    options.write = given.Get("write").ToBoolean();
    options.exclusive = given.Get("exclusive").ToBoolean();
    options.direct = given.Get("direct").ToBoolean();
    auto file = std::make_shared<BlockFile>();
    auto job = std::make_unique<Job>(env);
    const std::string path = info[0].As<Napi::String>();
    job->work = [file, path, options] { return BlockFile::Open(path, options, file.get()); };
    job->result = [file](Napi::Env inner) -> Napi::Value {
      auto holder = file;
      const auto external = Napi::External<std::shared_ptr<BlockFile>>::New(inner, &holder);
      return DataOf(inner).block_file.New({external});
    };
    return DataOf(env).pool.Submit(std::move(job));
  }

  Napi::Value Info(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const BlockFileInfo& facts = file_->info();
    Napi::Object out = Napi::Object::New(env);
    out.Set("blockDevice", facts.block_device);
    out.Set("major", facts.major);
    out.Set("minor", facts.minor);
    out.Set("inode", static_cast<double>(facts.inode));
    out.Set("readOnly", facts.read_only);
    out.Set("alignment", facts.alignment);
    out.Set("directError", facts.direct_error == 0
                               ? env.Null()
                               : Napi::String::New(env, ::strerrorname_np(facts.direct_error)));
    return out;
  }

  Napi::Value Size(const Napi::CallbackInfo& info) {
    uint64_t size = 0;
    const Status status = file_->Size(&size);
    if (!status.ok()) throw ToError(info.Env(), status);
    return Napi::Number::New(info.Env(), static_cast<double>(size));
  }

  Napi::Value ReadBatch(const Napi::CallbackInfo& info) { return Batch(info, Direction::kRead); }
  Napi::Value WriteBatch(const Napi::CallbackInfo& info) { return Batch(info, Direction::kWrite); }

  Napi::Value Batch(const Napi::CallbackInfo& info, Direction direction) {
    const std::span<std::byte> slab = BytesOf(info[0]);
    auto operations = OperationsOf(info[1]);
    auto job = std::make_unique<Job>(info.Env());
    job->keep.push_back(Keep(info[0]));
    job->work = [file = Begin(), engine = EngineOf(info.Env()), slab, direction,
                 operations = std::move(operations)] {
      return RunBatch(TheSyscalls(), *engine, *file, direction, slab, operations);
    };
    return Submit(info, std::move(job));
  }

  // hashBatch(slab, operations) -> Promise<16 bytes for each operation>
  Napi::Value HashBatchOf(const Napi::CallbackInfo& info) {
    const std::span<std::byte> slab = BytesOf(info[0]);
    auto operations = OperationsOf(info[1]);
    auto digests = std::make_shared<std::vector<Digest>>(operations.size());
    auto job = std::make_unique<Job>(info.Env());
    job->keep.push_back(Keep(info[0]));
    job->work = [file = Begin(), engine = EngineOf(info.Env()), slab, digests,
                 operations = std::move(operations)] {
      return HashBatch(TheSyscalls(), *engine, *file, slab, operations, *digests);
    };
    job->result = [digests](Napi::Env env) -> Napi::Value {
      return CopyBytes(env, digests->data(), digests->size() * sizeof(Digest));
    };
    return Submit(info, std::move(job));
  }

  // compareBatch(other, scratch, operations) -> Promise<pairs offset, length>
  Napi::Value CompareBatch(const Napi::CallbackInfo& info) {
    const std::span<std::byte> scratch = BytesOf(info[1]);
    auto operations = OperationsOf(info[2]);
    if (closing_) throw Napi::Error::New(info.Env(), "the file is closed");
    // The following cannot throw any more: nothing is left in use.
    const BlockFileUse other(info[0]);
    auto different = std::make_shared<ExtentList>();
    auto job = std::make_unique<Job>(info.Env());
    job->keep.push_back(Keep(info[0]));
    job->keep.push_back(Keep(info[1]));
    job->work = [file = Begin(), other, engine = EngineOf(info.Env()), scratch, different,
                 operations = std::move(operations)] {
      const BlockFile* const files[] = {file.get(), &other.file()};
      return CompareFiles(TheSyscalls(), *engine, files, scratch, operations, different.get());
    };
    job->result = [different](Napi::Env env) -> Napi::Value {
      return FromExtents(env, *different);
    };
    job->settled = [this, other] {
      other.End();
      End();
    };
    job->keep.push_back(Keep(info.This()));
    return DataOf(info.Env()).pool.Submit(std::move(job));
  }

  // findData(scratch, extents, unit) -> Promise<pairs offset, length>
  Napi::Value FindDataIn(const Napi::CallbackInfo& info) {
    const std::span<std::byte> scratch = BytesOf(info[0]);
    const uint64_t unit = WholeNumber(info[2], "unit");
    auto data = std::make_shared<ExtentList>();
    auto job = std::make_unique<Job>(info.Env());
    job->keep.push_back(Keep(info[0]));
    job->work = [file = Begin(), engine = EngineOf(info.Env()), scratch, unit, data,
                 extents = ExtentsOf(info[1])] {
      return FindData(TheSyscalls(), *engine, *file, scratch, extents, unit, data.get());
    };
    job->result = [data](Napi::Env env) -> Napi::Value { return FromExtents(env, *data); };
    return Submit(info, std::move(job));
  }

  // punch(extents, { discard, granularity }) -> Promise<what is left to be written as zeros>
  Napi::Value Punch(const Napi::CallbackInfo& info) {
    const auto given = info[1].As<Napi::Object>();
    PunchRules rules;
    rules.method = given.Get("discard").ToBoolean() ? PunchMethod::kDiscard : PunchMethod::kHole;
    rules.granularity = WholeNumber(given.Get("granularity"), "granularity");
    if (rules.granularity == 0) throw Napi::RangeError::New(info.Env(), "granularity is 0");
    auto left = std::make_shared<ExtentList>();
    auto job = std::make_unique<Job>(info.Env());
    job->work = [file = Begin(), rules, extents = ExtentsOf(info[0]), left] {
      return PunchExtents(*file, rules, extents, left.get());
    };
    job->result = [left](Napi::Env env) -> Napi::Value { return FromExtents(env, *left); };
    return Submit(info, std::move(job));
  }

  Napi::Value Sync(const Napi::CallbackInfo& info) {
    auto job = std::make_unique<Job>(info.Env());
    job->work = [file = Begin()] { return file->Sync(TheSyscalls()); };
    return Submit(info, std::move(job));
  }

  Napi::Value Resize(const Napi::CallbackInfo& info) {
    const uint64_t size = WholeNumber(info[0], "size");
    auto job = std::make_unique<Job>(info.Env());
    job->work = [file = Begin(), size] { return file->Resize(size); };
    return Submit(info, std::move(job));
  }

  // Waits for running work, then closes. A second close is an error of the caller.
  Napi::Value Close(const Napi::CallbackInfo& info) {
    if (closing_) throw Napi::Error::New(info.Env(), "the file is closed");
    closing_ = true;
    auto job = std::make_shared<std::unique_ptr<Job>>(std::make_unique<Job>(info.Env()));
    (*job)->keep.push_back(Keep(info.This()));
    (*job)->work = [file = file_] { return file->Close(); };
    const Napi::Promise promise = (*job)->deferred.Promise();
    const Napi::Env env = info.Env();
    auto submit = [env, job] { DataOf(env).pool.Submit(std::move(*job)); };
    if (running_ == 0) {
      submit();
    } else {
      close_ = submit;
    }
    return promise;
  }

  Napi::Value Submit(const Napi::CallbackInfo& info, std::unique_ptr<Job> job) {
    job->keep.push_back(Keep(info.This()));
    job->settled = [this] { End(); };
    return DataOf(info.Env()).pool.Submit(std::move(job));
  }

  std::shared_ptr<BlockFile> file_;
  size_t running_ = 0;
  bool closing_ = false;
  std::function<void()> close_;
};

}  // namespace

BlockFileUse::BlockFileUse(const Napi::Value& value) {
  const Napi::Object object = value.As<Napi::Object>();
  if (!value.IsObject() || !object.InstanceOf(DataOf(value.Env()).block_file.Value())) {
    throw Napi::TypeError::New(value.Env(), "a BlockFile is expected");
  }
  BlockFileObject* owner = BlockFileObject::Unwrap(object);
  file_ = owner->Begin();
  owner_ = owner;
}

void BlockFileUse::End() const { static_cast<BlockFileObject*>(owner_)->End(); }

void InitBlockFile(Napi::Env env, Napi::Object exports) {
  const Napi::Function constructor = BlockFileObject::Define(env);
  DataOf(env).block_file = Napi::Persistent(constructor);
  exports.Set("BlockFile", constructor);
}

}  // namespace lvmsync
