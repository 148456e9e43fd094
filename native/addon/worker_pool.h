// The addon's own threads. libuv's four are shared with file system, DNS and compression work, and
// a read from a slow pipe would hold one of them for as long as it waits.
#pragma once

#include <napi.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "core/base/result.h"

namespace lvmsync {

// One call into the core: `work` runs on a worker thread, everything else on the JavaScript thread.
struct Job {
  explicit Job(Napi::Env env) : deferred(Napi::Promise::Deferred::New(env)) {}
  Napi::Promise::Deferred deferred;
  std::vector<Napi::ObjectReference> keep;       // what must not be collected meanwhile
  std::function<Status()> work;                  // memory that is not there may be thrown
  std::function<Napi::Value(Napi::Env)> result;  // the promise's value if the Status is Ok
  std::function<void()> settled;                 // after the promise was settled; may be empty
  Status status;
};

// For Job::keep.
Napi::ObjectReference Keep(const Napi::Value& value);

class WorkerPool {
 public:
  explicit WorkerPool(Napi::Env env);
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Called on the JavaScript thread. The event loop stays alive until the promise is settled. It is
  // rejected with an error of pthread_create where the system allows too few threads.
  Napi::Promise Submit(std::unique_ptr<Job> job);

  // The environment goes away: idle threads end. A thread inside a system call is left to itself,
  // because waiting for it could wait for a peer for ever; its job is never settled.
  void Shutdown();

 private:
  // Outlives the pool where a thread is still inside a system call.
  struct Shared {
    std::mutex mutex;
    std::condition_variable wake;
    std::deque<std::unique_ptr<Job>> waiting;
    std::deque<std::unique_ptr<Job>> finished;
    napi_threadsafe_function notify = nullptr;
    size_t idle = 0;  // those that were only just started, too
    size_t threads = 0;
    bool stopping = false;
  };
  // As many as there is work for and the system allows. With the mutex held. Returns 0, or the
  // errno where fewer run than can do work that waits for other work.
  static int StartThreads(const std::shared_ptr<Shared>& shared);
  static void Work(const std::shared_ptr<Shared>& shared);
  static void OnFinished(napi_env env, napi_value, void* context, void*);
  void SettleFinished(Napi::Env env);

  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
  napi_env env_;
  size_t pending_ = 0;
};

}  // namespace lvmsync
