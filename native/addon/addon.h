// State that the classes of the addon share: one per JavaScript environment (main thread or
// worker).
#pragma once

#include <napi.h>

#include <memory>

#include "addon/worker_pool.h"
#include "core/base/syscalls.h"
#include "core/io/block_file.h"
#include "core/io/io_engine.h"

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

// The system calls of this build of the addon: the real ones in what ships (real_syscalls.cc). The
// build for tests links another file in its place, which also lets JavaScript steer them.
const Syscalls& TheSyscalls();
void InitSyscalls(Napi::Env env, Napi::Object exports);

// Each adds what its file exports.
void InitBlockFile(Napi::Env env, Napi::Object exports);
void InitControlFrame(Napi::Env env, Napi::Object exports);
void InitDeviceMapper(Napi::Env env, Napi::Object exports);
void InitEngine(Napi::Env env, Napi::Object exports);
void InitExtentSet(Napi::Env env, Napi::Object exports);
void InitInputStream(Napi::Env env, Napi::Object exports);
void InitMarkScan(Napi::Env env, Napi::Object exports);
void InitPoolBlocks(Napi::Env env, Napi::Object exports);
void InitProcess(Napi::Env env, Napi::Object exports);
void InitRecordReader(Napi::Env env, Napi::Object exports);
void InitRecordWriter(Napi::Env env, Napi::Object exports);
void InitSlab(Napi::Env env, Napi::Object exports);
void InitStore(Napi::Env env, Napi::Object exports);
void InitXxh32(Napi::Env env, Napi::Object exports);

// The core file inside a BlockFile object of JavaScript, and a guard that delays its close.
class BlockFileUse {
 public:
  BlockFileUse() = default;
  // Throws if `value` is not an open BlockFile.
  explicit BlockFileUse(const Napi::Value& value);
  const BlockFile& file() const { return *file_; }
  // On the JavaScript thread, when the work is over.
  void End() const;

 private:
  std::shared_ptr<BlockFile> file_;
  void* owner_ = nullptr;
};

}  // namespace lvmsync
