// The main engine: one io_uring per batch in progress, kept for the next batch.
#include <liburing.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <vector>

#include "io_engine.h"

namespace lvmsync {
namespace {

constexpr unsigned kDepth = 64;

class Ring {
 public:
  static std::unique_ptr<Ring> Create(const Syscalls& syscalls, int* error) {
    auto ring = std::unique_ptr<Ring>(new Ring);
    *error = syscalls.RingSetupError();
    if (*error == 0) *error = -io_uring_queue_init(kDepth, &ring->ring_, 0);
    if (*error != 0) return nullptr;
    ring->usable_ = true;
    return ring;
  }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  ~Ring() {
    if (usable_) io_uring_queue_exit(&ring_);
  }
  io_uring* get() { return &ring_; }

 private:
  Ring() = default;
  io_uring ring_{};
  bool usable_ = false;
};

// One batch on one ring: keeps up to kDepth requests in flight until all have ended.
class RingBatch {
 public:
  RingBatch(const Syscalls& syscalls, io_uring* ring, int fd, Direction direction,
            std::span<const IoRequest> requests)
      : syscalls_(syscalls), ring_(ring), fd_(fd), direction_(direction) {
    waiting_.assign(requests.rbegin(), requests.rend());
    slots_.resize(std::min<size_t>(kDepth, requests.size()));
    for (IoRequest& slot : slots_) free_.push_back(&slot);
  }

  Status Run() {
    while (true) {
      if (status_.ok()) Fill();
      if (free_.size() == slots_.size()) return std::move(status_);
      const int submitted = io_uring_submit_and_wait(ring_, 1);
      if (submitted < 0 && submitted != -EINTR && submitted != -EAGAIN && submitted != -EBUSY) {
        // Nothing more can be learned of what is in flight; the ring is given up by its owner.
        broken_ = true;
        return Status::System(-submitted, "io_uring_enter", 0);
      }
      Reap();
    }
  }

  // True if requests may still be in flight, so that neither ring nor memory can be reused.
  bool broken() const { return broken_; }

 private:
  void Fill() {
    while (!waiting_.empty() && !free_.empty()) {
      io_uring_sqe* entry = io_uring_get_sqe(ring_);
      if (entry == nullptr) return;
      IoRequest* slot = free_.back();
      free_.pop_back();
      *slot = waiting_.back();
      waiting_.pop_back();
      const auto length = static_cast<unsigned>(slot->length);
      if (direction_ == Direction::kRead) {
        io_uring_prep_read(entry, fd_, slot->memory, length, slot->offset);
      } else {
        io_uring_prep_write(entry, fd_, slot->memory, length, slot->offset);
      }
      io_uring_sqe_set_data(entry, slot);
    }
  }

  void Reap() {
    io_uring_cqe* completion;
    unsigned head;
    unsigned seen = 0;
    io_uring_for_each_cqe(ring_, head, completion) {
      auto* slot = static_cast<IoRequest*>(io_uring_cqe_get_data(completion));
      Finish(slot, completion->res);
      seen++;
    }
    io_uring_cq_advance(ring_, seen);
  }

  void Finish(IoRequest* slot, int32_t raw) {
    const bool reading = direction_ == Direction::kRead;
    const int32_t result = syscalls_.RingResult(direction_, slot->offset, slot->length, raw);
    free_.push_back(slot);
    if (result == -EINTR || result == -EAGAIN) {
      waiting_.push_back(*slot);
    } else if (result < 0) {
      Fail(Status::System(-result, reading ? "read" : "write", slot->offset));
    } else if (result == 0) {
      Fail(reading ? Status::UnexpectedEnd("read", slot->offset)
                   : Status::System(ENOSPC, "write", slot->offset));
    } else if (const auto count = static_cast<size_t>(result); count < slot->length) {
      waiting_.push_back({slot->offset + count, slot->memory + count, slot->length - count});
    }
  }

  void Fail(Status status) { status_ = Earlier(std::move(status_), std::move(status)); }

  const Syscalls& syscalls_;
  io_uring* ring_;
  int fd_;
  Direction direction_;
  std::vector<IoRequest> waiting_;  // the next one at the back
  std::vector<IoRequest> slots_;
  std::vector<IoRequest*> free_;
  Status status_;
  bool broken_ = false;
};

class RingEngine final : public IoEngine {
 public:
  RingEngine(const Syscalls& syscalls, std::unique_ptr<Ring> first) : syscalls_(syscalls) {
    idle_.push_back(std::move(first));
  }

  Status Run(int fd, Direction direction, std::span<const IoRequest> requests) override {
    if (requests.empty()) return Status::Ok();
    int error = 0;
    std::unique_ptr<Ring> ring = Take(&error);
    if (ring == nullptr) return RunBlocking(fd, direction, requests);
    RingBatch batch(syscalls_, ring->get(), fd, direction, requests);
    Status status = batch.Run();
    if (!batch.broken()) {
      std::lock_guard lock(mutex_);
      idle_.push_back(std::move(ring));
    }
    return status;
  }

  const char* name() const override { return "io_uring"; }

 private:
  std::unique_ptr<Ring> Take(int* error) {
    {
      std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        auto ring = std::move(idle_.back());
        idle_.pop_back();
        return ring;
      }
    }
    return Ring::Create(syscalls_, error);
  }

  // A further ring was refused (RLIMIT_MEMLOCK on old kernels): slower, not wrong.
  Status RunBlocking(int fd, Direction direction, std::span<const IoRequest> requests) {
    for (const IoRequest& request : requests) {
      Status status = TransferFully(syscalls_, fd, direction, request);
      if (!status.ok()) return status;
    }
    return Status::Ok();
  }

  const Syscalls& syscalls_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Ring>> idle_;
};

}  // namespace

std::unique_ptr<IoEngine> MakeRingEngine(const Syscalls& syscalls, int* error) {
  std::unique_ptr<Ring> ring = Ring::Create(syscalls, error);
  if (ring == nullptr) return nullptr;
  return std::make_unique<RingEngine>(syscalls, std::move(ring));
}

}  // namespace lvmsync
