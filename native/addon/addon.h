// What the classes of the addon share: one per JavaScript environment (main thread or worker).
#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "../core/batch.h"
#include "../core/extent.h"
#include "../core/io_engine.h"
#include "worker_pool.h"

namespace lvmsync {

struct AddonData {
  explicit AddonData(Napi::Env env) : pool(env) {}
  WorkerPool pool;
  // Shared with running jobs, so that choosing another engine never pulls it from under them.
  std::shared_ptr<IoEngine> engine;
  Napi::FunctionReference block_file;
};

AddonData& DataOf(Napi::Env env);
// The engine that was selected; without a choice io_uring, or threads where it is refused.
std::shared_ptr<IoEngine> EngineOf(Napi::Env env);

// Bytes of an ArrayBuffer or a view of one. Throws a TypeError for anything else.
std::span<std::byte> BytesOf(const Napi::Value& value);
// Triples offset, length, slabPosition out of a Float64Array. Throws where they are no whole
// numbers.
std::vector<Operation> OperationsOf(const Napi::Value& value);
Napi::Float64Array FromOperations(Napi::Env env, const std::vector<Operation>& operations);
// Pairs offset, length.
std::vector<Extent> ExtentsOf(const Napi::Value& value);
Napi::Float64Array FromExtents(Napi::Env env, const ExtentList& extents);
// The same in the memory of the list itself, which a change list of millions should not be in
// twice.
Napi::Float64Array TakeExtents(Napi::Env env, ExtentList extents);
uint64_t WholeNumber(const Napi::Value& value, const char* what);
Napi::Buffer<uint8_t> CopyBytes(Napi::Env env, const void* bytes, size_t size);
Napi::ObjectReference Keep(const Napi::Value& value);

// The system calls of this build of the addon: the real ones in what ships (real_syscalls.cc). The
// build for tests links another file in its place, which also lets JavaScript steer them.
const Syscalls& TheSyscalls();
void InitSyscalls(Napi::Env env, Napi::Object exports);

void InitBlockFile(Napi::Env env, Napi::Object exports);
void InitDeviceMapper(Napi::Env env, Napi::Object exports);
void InitStreams(Napi::Env env, Napi::Object exports);
void InitStore(Napi::Env env, Napi::Object exports);

// The core file inside a BlockFile object of JavaScript, and a guard that delays its close.
class BlockFileUse {
 public:
  BlockFileUse() = default;
  // Throws where `value` is no open BlockFile.
  explicit BlockFileUse(const Napi::Value& value);
  const BlockFile& file() const { return *file_; }
  // On the JavaScript thread, when the work is over.
  void End() const;

 private:
  std::shared_ptr<BlockFile> file_;
  void* owner_ = nullptr;
};

}  // namespace lvmsync
