// The main engine: one io_uring per batch in progress, kept for the next batch.
#include <liburing.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

#include "core/io/io_engine.h"

namespace lvmsync {
namespace {

// Batches in flight times this stays within the 128 requests that many devices queue: one above
// that is handed to a thread of the kernel, which costs more than its transfer.
constexpr unsigned kDepth = 32;
// Completions waited for at once: half of them stay in flight, and the thread wakes half as often.
constexpr unsigned kTogether = kDepth / 2;
constexpr std::chrono::milliseconds kPollInterval{1};

// Submits what was prepared and waits for so many completions; 0 or errno.
int Enter(const Syscalls& syscalls, io_uring* ring, unsigned completions) {
  if (const int refused = syscalls.RingEnterError(); refused != 0) return refused;
  const int submitted = io_uring_submit_and_wait(ring, completions);
  return submitted < 0 ? -submitted : 0;
}

// 0 or errno. Completions need not interrupt a thread that is going to enter anyway; kernels before
// 5.19 do not know the flag.
int Initialise(io_uring* ring) {
  const int error = -io_uring_queue_init(kDepth, ring, IORING_SETUP_COOP_TASKRUN);
  return error == EINVAL ? -io_uring_queue_init(kDepth, ring, 0) : error;
}

class Ring {
 public:
  static std::unique_ptr<Ring> Create(const Syscalls& syscalls, int* error) {
    auto ring = std::unique_ptr<Ring>(new Ring);
    *error = syscalls.RingSetupError();
    if (*error == 0) *error = Initialise(&ring->ring_);
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

  // 0 if it does what is needed of it, else errno: the rings of kernels before 5.6 know no plain
  // read and write, and a seccomp filter may let a ring be made but not entered.
  int Try(const Syscalls& syscalls) {
    io_uring_probe* probe = io_uring_get_probe_ring(&ring_);
    const bool able = probe != nullptr && io_uring_opcode_supported(probe, IORING_OP_READ) != 0 &&
                      io_uring_opcode_supported(probe, IORING_OP_WRITE) != 0;
    io_uring_free_probe(probe);
    if (!able) return EOPNOTSUPP;
    io_uring_prep_nop(io_uring_get_sqe(&ring_));
    if (const int error = Enter(syscalls, &ring_, 1); error != 0) return error;
    io_uring_cq_advance(&ring_, 1);
    return 0;
  }

 private:
  Ring() = default;
  io_uring ring_{};
  bool usable_ = false;
};

// One batch on one ring: keeps up to kDepth requests in flight until all have ended.
class RingBatch {
 public:
  RingBatch(const Syscalls& syscalls, io_uring* ring, Direction direction,
            std::span<const IoRequest> requests)
      : syscalls_(syscalls), ring_(ring), direction_(direction) {
    waiting_.assign(requests.rbegin(), requests.rend());
    slots_.resize(std::min<size_t>(kDepth, requests.size()));
    for (IoRequest& slot : slots_) free_.push_back(&slot);
  }

  Status Run() {
    while (true) {
      if (status_.ok()) Fill();
      if (free_.size() == slots_.size()) return Conclude();
      const auto in_flight = static_cast<unsigned>(slots_.size() - free_.size());
      const int error = Enter(syscalls_, ring_, std::min(in_flight, kTogether));
      Reap();
      if (error != 0 && error != EINTR && error != EAGAIN && error != EBUSY) {
        return FinishWithoutRing();
      }
    }
  }

  // True if the ring cannot be entered any more; it may hold requests that must never be submitted.
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
        io_uring_prep_read(entry, slot->fd, slot->memory, length, slot->offset);
      } else {
        io_uring_prep_write(entry, slot->fd, slot->memory, length, slot->offset);
      }
      io_uring_sqe_set_data(entry, slot);
    }
  }

  Status Conclude() {
    if (!status_.ok() || refused_.empty()) return std::move(status_);
    return TransferAll(syscalls_, direction_, refused_);
  }

  // A request that the kernel has taken over uses the caller's memory until it completes, and
  // completions come without entering; what it has not is done here.
  Status FinishWithoutRing() {
    broken_ = true;
    while (slots_.size() - free_.size() > io_uring_sq_ready(ring_)) {
      std::this_thread::sleep_for(kPollInterval);
      Reap();
    }
    if (!status_.ok()) return std::move(status_);
    for (const IoRequest& slot : slots_) {
      if (std::find(free_.begin(), free_.end(), &slot) == free_.end()) waiting_.push_back(slot);
    }
    std::reverse(waiting_.begin(), waiting_.end());
    waiting_.insert(waiting_.end(), refused_.begin(), refused_.end());
    return TransferAll(syscalls_, direction_, waiting_);
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
    const int32_t result =
        syscalls_.RingResult(slot->fd, direction_, slot->offset, slot->length, raw);
    free_.push_back(slot);
    if (result == -EINTR || result == -EAGAIN) {
      waiting_.push_back(*slot);
    } else if (result == -ECANCELED) {
      // The kernel could start no thread for it, as a limit on processes counts those, too.
      refused_.push_back(*slot);
    } else if (result < 0) {
      Fail(Status::System(-result, reading ? "read" : "write", slot->offset));
    } else if (result == 0) {
      Fail(reading ? Status::UnexpectedEnd("read", slot->offset)
                   : Status::System(ENOSPC, "write", slot->offset));
    } else if (const auto count = static_cast<size_t>(result); count < slot->length) {
      waiting_.push_back(
          {slot->offset + count, slot->memory + count, slot->length - count, slot->fd});
    }
  }

  void Fail(Status status) { status_ = Earlier(std::move(status_), std::move(status)); }

  const Syscalls& syscalls_;
  io_uring* ring_;
  Direction direction_;
  std::vector<IoRequest> waiting_;  // the next one at the back
  std::vector<IoRequest> refused_;  // for this thread, at the end
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

  Status Run(Direction direction, std::span<const IoRequest> requests) override {
    if (requests.empty()) return Status::Ok();
    int error = 0;
    std::unique_ptr<Ring> ring = Take(&error);
    // A further ring was refused (RLIMIT_MEMLOCK on old kernels): slower, not wrong.
    if (ring == nullptr) return TransferAll(syscalls_, direction, requests);
    RingBatch batch(syscalls_, ring->get(), direction, requests);
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

  const Syscalls& syscalls_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Ring>> idle_;
};

}  // namespace

std::unique_ptr<IoEngine> MakeRingEngine(const Syscalls& syscalls, int* error) {
  std::unique_ptr<Ring> ring = Ring::Create(syscalls, error);
  if (ring == nullptr) return nullptr;
  *error = ring->Try(syscalls);
  if (*error != 0) return nullptr;
  return std::make_unique<RingEngine>(syscalls, std::move(ring));
}

}  // namespace lvmsync
