// The fallback where io_uring is refused: a small pool of threads in blocking pread/pwrite.
#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "core/io/io_engine.h"

namespace lvmsync {
namespace {

// Eight blocking readers reach about half of what a ring does on a fast device; more add little.
constexpr size_t kThreads = 8;

class ThreadEngine final : public IoEngine {
 public:
  explicit ThreadEngine(const Syscalls& syscalls) : syscalls_(syscalls) {}

  ~ThreadEngine() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    work_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  Status Run(Direction direction, std::span<const IoRequest> requests) override {
    if (requests.empty()) return Status::Ok();
    Batch batch{direction, requests, 0, requests.size(), Status::Ok()};
    std::unique_lock lock(mutex_);
    StartThreads(requests.size());
    if (threads_.empty()) {
      lock.unlock();
      return TransferAll(syscalls_, direction, requests);
    }
    queue_.push_back(&batch);
    work_.notify_all();
    done_.wait(lock, [&] { return batch.unfinished == 0; });
    return std::move(batch.status);
  }

  const char* name() const override { return "threads"; }

 private:
  // Lives on the stack of Run; every member is guarded by mutex_.
  struct Batch {
    Direction direction;
    std::span<const IoRequest> requests;
    size_t next;
    size_t unfinished;
    Status status;
  };

  // As many as the system allows, which may be none: a limit on processes counts threads, too.
  void StartThreads(size_t wanted) {
    try {
      while (threads_.size() < std::min(kThreads, wanted)) {
        threads_.emplace_back([this] { Work(); });
      }
    } catch (const std::system_error&) {
      // Those that run do the work; the next batch tries again.
    }
  }

  void Work() {
    std::unique_lock lock(mutex_);
    while (true) {
      work_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      Batch& batch = *queue_.front();
      const IoRequest request = batch.requests[batch.next++];
      if (batch.next == batch.requests.size()) queue_.pop_front();
      // After a failure the rest of the batch is not begun: its outcome can no longer matter.
      if (batch.status.ok()) {
        lock.unlock();
        Status status = TransferFully(syscalls_, batch.direction, request);
        lock.lock();
        batch.status = Earlier(std::move(batch.status), std::move(status));
      }
      if (--batch.unfinished == 0) done_.notify_all();
    }
  }

  const Syscalls& syscalls_;
  std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable done_;
  std::deque<Batch*> queue_;
  std::vector<std::thread> threads_;
  bool stopping_ = false;
};

}  // namespace

std::unique_ptr<IoEngine> MakeThreadEngine(const Syscalls& syscalls) {
  return std::make_unique<ThreadEngine>(syscalls);
}

}  // namespace lvmsync
