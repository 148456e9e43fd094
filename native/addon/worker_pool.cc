#include "addon/worker_pool.h"

#include <cstring>
#include <new>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "addon/convert.h"

namespace lvmsync {
namespace {

// Batches in flight, one reader and one writer of a stream, and one to spare.
constexpr size_t kMostThreads = 8;
// A read and a write that each wait for a peer, and one that does what these wait for.
constexpr size_t kLeastThreads = 3;

// Memory that is not there is a failure like any other: what escapes a thread ends the process.
Status Attempt(const std::function<Status()>& work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return Status::System(ENOMEM, "malloc", 0);
  } catch (const std::length_error&) {
    return Status::System(ENOMEM, "malloc", 0);
  }
}

// Not a failure of any file: no code, no offset.
Napi::Error TooFewThreads(Napi::Env env, int error) {
  Napi::Error failure = Napi::Error::New(env, ::strerrordesc_np(error));
  failure.Set("syscall", Napi::String::New(env, "pthread_create"));
  return failure;
}

}  // namespace

Napi::ObjectReference Keep(const Napi::Value& value) {
  return Napi::Persistent(value.As<Napi::Object>());
}

WorkerPool::WorkerPool(Napi::Env env) : env_(env) {
  const napi_value name = Napi::String::New(env, "lvmsync");
  napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this,
                                  OnFinished, &shared_->notify);
  napi_unref_threadsafe_function(env, shared_->notify);
}

Napi::Promise WorkerPool::Submit(std::unique_ptr<Job> job) {
  const Napi::Promise promise = job->deferred.Promise();
  int error = 0;
  {
    std::lock_guard lock(shared_->mutex);
    error = StartThreads(shared_);
    if (error == 0) {
      if (pending_++ == 0) napi_ref_threadsafe_function(env_, shared_->notify);
      shared_->waiting.push_back(std::move(job));
      shared_->wake.notify_one();
      return promise;
    }
  }
  job->deferred.Reject(TooFewThreads(env_, error).Value());
  if (job->settled) job->settled();
  return promise;
}

int WorkerPool::StartThreads(const std::shared_ptr<Shared>& shared) {
  const auto start = [&shared] {
    std::thread([shared] { Work(shared); }).detach();
    shared->threads++;
    shared->idle++;
  };
  try {
    while (shared->threads < kLeastThreads) start();
    if (shared->idle <= shared->waiting.size() && shared->threads < kMostThreads) start();
  } catch (const std::system_error& refused) {
    // Those that run do the work; the next job tries again.
    if (shared->threads < kLeastThreads) return refused.code().value();
  }
  return 0;
}

void WorkerPool::Work(const std::shared_ptr<Shared>& shared) {
  std::unique_lock lock(shared->mutex);
  while (true) {
    shared->wake.wait(lock, [&] { return shared->stopping || !shared->waiting.empty(); });
    shared->idle--;
    if (shared->stopping) return;
    std::unique_ptr<Job> job = std::move(shared->waiting.front());
    shared->waiting.pop_front();
    lock.unlock();
    job->status = Attempt(job->work);
    lock.lock();
    if (shared->stopping) {
      // Its references went with the environment: only the rest of the job is left to delete.
      for (Napi::ObjectReference& kept : job->keep) kept.SuppressDestruct();
      return;
    }
    shared->idle++;
    shared->finished.push_back(std::move(job));
    napi_call_threadsafe_function(shared->notify, nullptr, napi_tsfn_nonblocking);
  }
}

void WorkerPool::OnFinished(napi_env env, napi_value, void* context, void*) {
  if (env != nullptr) static_cast<WorkerPool*>(context)->SettleFinished(env);
}

void WorkerPool::SettleFinished(Napi::Env env) {
  while (true) {
    std::unique_ptr<Job> job;
    {
      std::lock_guard lock(shared_->mutex);
      if (shared_->finished.empty()) return;
      job = std::move(shared_->finished.front());
      shared_->finished.pop_front();
    }
    const Napi::HandleScope scope(env);
    if (job->status.ok()) {
      job->deferred.Resolve(job->result ? job->result(env) : env.Undefined());
    } else {
      job->deferred.Reject(ToError(env, job->status).Value());
    }
    if (--pending_ == 0) napi_unref_threadsafe_function(env, shared_->notify);
    if (job->settled) job->settled();
  }
}

void WorkerPool::Shutdown() {
  std::lock_guard lock(shared_->mutex);
  shared_->stopping = true;
  shared_->wake.notify_all();
  napi_release_threadsafe_function(shared_->notify, napi_tsfn_abort);
}

}  // namespace lvmsync
