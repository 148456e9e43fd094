// The promises of an engine, whatever the system refuses it: threads, a ring, or entering one.
#include <pthread.h>

#include <array>
#include <atomic>
#include <thread>

#include "batch_media.h"
#include "core/base/slab.h"
#include "core/io/io_engine.h"
#include "faulty_syscalls.h"

namespace lvmsync {
namespace {

using testing::Bytes;
using testing::Expect;
using testing::ExpectEqual;

constexpr size_t kPiece = 4096;

std::vector<IoRequest> Pieces(int fd, std::byte* memory, size_t size) {
  std::vector<IoRequest> requests;
  for (size_t at = 0; at < size; at += kPiece) requests.push_back({at, memory + at, kPiece, fd});
  return requests;
}

void ReadsWhole(IoEngine& engine, const testing::TempFile& file, int rounds) {
  const Bytes content = file.Content();
  for (int round = 0; round < rounds; round++) {
    const Slab slab = Slab::Allocate(content.size());
    const auto requests = Pieces(file.fd(), slab.data(), content.size());
    const Status status = engine.Run(Direction::kRead, requests);
    Expect(status.ok(), testing::Describe(status));
    Expect(Bytes(slab.data(), slab.data() + slab.size()) == content, "the content");
  }
}

void ServesTwoThreadsAtOnce(const char* name) {
  std::mt19937_64 random(testing::Seed());
  testing::TempFile one;
  testing::TempFile other;
  one.SetContent(testing::RandomBytes(300 * kPiece, random));
  other.SetContent(testing::RandomBytes(70 * kPiece, random));
  const auto engine = testing::MakeEngine(name, Syscalls::Real());
  std::string failed;
  std::thread thread([&] {
    try {
      ReadsWhole(*engine, one, 20);
    } catch (const testing::Failure& failure) {
      failed = failure.what();
    }
  });
  ReadsWhole(*engine, other, 60);
  thread.join();
  Expect(failed.empty(), failed);
}

void NamesTheLowestFailure(const char* name) {
  std::mt19937_64 random(testing::Seed());
  testing::TempFile file;
  file.SetContent(testing::RandomBytes(10 * kPiece, random));
  const Slab slab = Slab::Allocate(64 * kPiece);
  // All of them lie behind the end; the lowest offset comes last.
  std::vector<IoRequest> requests = Pieces(file.fd(), slab.data(), 64 * kPiece);
  requests.erase(requests.begin(), requests.begin() + 20);
  std::reverse(requests.begin(), requests.end());
  const auto engine = testing::MakeEngine(name, Syscalls::Real());
  const Status status = engine->Run(Direction::kRead, std::span(requests).last(8));
  Expect(status.fault == Fault::kUnexpectedEnd, testing::Describe(status));
  Expect(status.offset >= 20 * kPiece && status.offset < 28 * kPiece, testing::Describe(status));
  for (IoRequest& request : requests) request.fd = -1;
  const Status bad = engine->Run(Direction::kWrite, requests);
  ExpectEqual(bad.error, EBADF, testing::Describe(bad));
}

class NoRing : public Syscalls {
 public:
  int RingSetupError() const override { return refused ? EPERM : 0; }
  std::atomic<bool> refused = true;
};

void GoesOnWithoutAFurtherRing() {
  NoRing syscalls;
  syscalls.refused = false;
  const auto engine = testing::MakeEngine("io_uring", syscalls);
  syscalls.refused = true;
  std::mt19937_64 random(testing::Seed());
  testing::TempFile file;
  file.SetContent(testing::RandomBytes(200 * kPiece, random));
  std::array<std::string, 3> failed;
  std::vector<std::thread> threads;
  for (std::string& text : failed) {
    threads.emplace_back([&] {
      try {
        ReadsWhole(*engine, file, 10);
      } catch (const testing::Failure& failure) {
        text = failure.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& text : failed) Expect(text.empty(), text);
}

// Lets the ring be entered so many times. A filter may allow to make a ring and refuse to enter it.
class RefusedRing : public Syscalls {
 public:
  explicit RefusedRing(int allowed) : allowed_(allowed) {}
  int RingEnterError() const override { return entered_++ < allowed_ ? 0 : EPERM; }
  int entered() const { return entered_; }

 private:
  int allowed_;
  mutable std::atomic<int> entered_ = 0;
};

void SaysWhyThereIsNoRing() {
  int error = 0;
  Expect(MakeRingEngine(NoRing(), &error) == nullptr, "no ring, no engine");
  ExpectEqual(error, EPERM, "errno");
  error = 0;
  Expect(MakeRingEngine(RefusedRing(0), &error) == nullptr, "a useless ring, no engine");
  ExpectEqual(error, EPERM, "errno");
}

void GoesOnWhenTheRingIsRefused() {
  std::mt19937_64 random(testing::Seed());
  testing::TempFile file;
  file.SetContent(testing::RandomBytes(300 * kPiece, random));
  for (const int allowed : {1, 2, 3, 4}) {
    const RefusedRing syscalls(allowed);
    const auto engine = testing::MakeEngine("io_uring", syscalls);
    ReadsWhole(*engine, file, 2);
    Expect(syscalls.entered() > allowed, "the refusal was met");
    const Slab slab = Slab::Allocate(301 * kPiece);
    const Status status =
        engine->Run(Direction::kRead, Pieces(file.fd(), slab.data(), slab.size()));
    Expect(status.fault == Fault::kUnexpectedEnd, testing::Describe(status));
    ExpectEqual<uint64_t>(status.offset, 300 * kPiece, "a failure keeps its offset");
  }
}

// A pipe's reads stay in flight until something is written to it. The memory of a request that the
// kernel still holds must not be given back, even if the ring itself cannot be used any more.
void WaitsForWhatIsInFlight() {
  int ends[2];
  Expect(::pipe2(ends, O_CLOEXEC) == 0, "pipe2");
  const FileDescriptor reader(ends[0]);
  const FileDescriptor writer(ends[1]);
  // One entry to try the ring, and one that returns when the first of the two requests is done.
  const RefusedRing syscalls(2);
  const auto engine = testing::MakeEngine("io_uring", syscalls);
  std::array<std::byte, 8> into{};
  std::atomic<bool> returned = false;
  bool early = false;
  ssize_t written = 0;
  std::thread feeder([&] {
    written += ::write(writer.get(), "echo", 4);
    for (int i = 0; i < 200 && !returned; i++) ::usleep(1000);
    early = returned;
    written += ::write(writer.get(), "echo", 4);
  });
  constexpr uint64_t kNoOffset = UINT64_MAX;
  const std::array<IoRequest, 2> requests{
      {{kNoOffset, into.data(), 4, reader.get()}, {kNoOffset, into.data() + 4, 4, reader.get()}}};
  const Status status = engine->Run(Direction::kRead, requests);
  returned = true;
  feeder.join();
  ExpectEqual<ssize_t>(written, 8, "fed");
  Expect(!early, "it returned while a request was in flight");
  Expect(status.ok(), testing::Describe(status));
  Expect(std::memcmp(into.data(), "echoecho", 8) == 0, "the bytes");
}

// More than the address space: no thread can be started.
constexpr size_t kImpossibleStack = size_t{1} << 47;

void GoesOnWithoutThreads() {
  std::mt19937_64 random(testing::Seed());
  testing::TempFile file;
  file.SetContent(testing::RandomBytes(20 * kPiece, random));
  pthread_attr_t usual;
  pthread_attr_t impossible;
  Expect(::pthread_getattr_default_np(&usual) == 0, "the usual attributes");
  Expect(::pthread_getattr_default_np(&impossible) == 0, "the usual attributes");
  Expect(::pthread_attr_setstacksize(&impossible, kImpossibleStack) == 0, "a stack size");
  Expect(::pthread_setattr_default_np(&impossible) == 0, "impossible attributes");
  const auto engine = MakeThreadEngine(Syscalls::Real());
  std::string failed;
  try {
    ReadsWhole(*engine, file, 1);
  } catch (const std::exception& failure) {
    failed = failure.what();
  }
  Expect(::pthread_setattr_default_np(&usual) == 0, "the usual attributes");
  Expect(failed.empty(), failed);
  ReadsWhole(*engine, file, 1);
}

const testing::Suite kSuite{
    {"a ring engine serves two threads at once", [] { ServesTwoThreadsAtOnce("io_uring"); }},
    {"a thread engine serves two threads at once", [] { ServesTwoThreadsAtOnce("threads"); }},
    {"a ring engine names where a batch failed", [] { NamesTheLowestFailure("io_uring"); }},
    {"a thread engine names where a batch failed", [] { NamesTheLowestFailure("threads"); }},
    {"a refused ring makes no engine, and says why", SaysWhyThereIsNoRing},
    {"a ring engine that gets no further ring goes on without", GoesOnWithoutAFurtherRing},
    {"a ring that can no longer be entered is done without", GoesOnWhenTheRingIsRefused},
    {"a ring engine returns only after what the kernel holds has ended", WaitsForWhatIsInFlight},
    {"a thread engine that gets no thread goes on without", GoesOnWithoutThreads},
};

}  // namespace
}  // namespace lvmsync
