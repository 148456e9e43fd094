// Every call of a batch fails once and for a while, in every way: the batch carries on and is
// right, or says where it failed; what it was not asked to touch stays as it is.
#include <algorithm>
#include <cstdio>

#include "batch_media.h"
#include "core/base/slab.h"
#include "core/io/batch.h"
#include "faulty_syscalls.h"

namespace lvmsync {
namespace {

using testing::Bytes;
using testing::Expect;
using testing::ExpectEqual;
using testing::FaultySyscalls;
using testing::Injected;

constexpr uint64_t kSize = 1 << 20;
constexpr size_t kSlabSize = 1 << 20;

// Aligned neighbours that merge, unaligned heads and tails, a slab position that does not agree
// with its offset by sectors and by one byte, more than one request's 512 KiB, and the end of the
// file.
std::vector<Operation> MixedOperations(uint64_t size) {
  return {
      {12288, 4096, 12288},
      {16384, 4096, 16384},
      {100000, 5000, 1696 + 24576},
      {200704, 8192, 36864 + 512},
      {212992, 4096, 49152 + 1},
      {262144, 700 * 1024, 65536},
      {size - 4096, 4096, 802816 + size % 4096},
  };
}

struct FaultRow {
  Injected fault;
  uint64_t run;   // calls in a row that get it, besides the run of one
  bool survived;  // the batch is right all the same
};

// Interruptions in a row are finite: the kernel never interrupts forever.
constexpr FaultRow kFaults[] = {
    {{"EIO", EIO}, FaultySyscalls::kForever, false},
    {{"ENOSPC", ENOSPC}, FaultySyscalls::kForever, false},
    {{"EINTR", EINTR}, 40, true},
    {{"EAGAIN", EAGAIN}, 40, true},
    // What io_uring says when its kernel can start no thread.
    {{.name = "ECANCELED", .error = ECANCELED, .ring_only = true}, 1, true},
    {{.name = "512 bytes", .most = 512}, 40, false},
    {{.name = "1 byte", .most = 1}, 40, false},
};

class Campaign {
 public:
  Campaign(testing::Medium& medium, bool direct, const char* engine)
      : medium_(medium), direct_(direct), engine_(engine), random_(testing::Seed()) {
    before_ = testing::RandomBytes(medium.Content().size(), random_);
    operations_ = MixedOperations(before_.size());
    slab_ = Slab::Allocate(kSlabSize);
    payload_ = testing::RandomBytes(kSlabSize, random_);
  }

  void Run(Direction direction) {
    for (const FaultRow& row : kFaults) {
      if (row.fault.ring_only && std::string(engine_) != "io_uring") continue;
      for (const uint64_t run : {uint64_t{1}, row.run}) {
        bool reached = true;
        for (uint64_t first = 1; reached; first++) {
          FaultySyscalls syscalls(row.fault, first, run);
          title_ = std::string(engine_) + (direct_ ? ", direct" : ", buffered") +
                   (direction == Direction::kRead ? ", read: " : ", write: ") + row.fault.name +
                   " from call " + std::to_string(first) + ", run of " + std::to_string(run);
          RunOnce(direction, row, syscalls);
          reached = syscalls.injected() > 0;
          cases_++;
        }
      }
    }
  }

  uint64_t cases() const { return cases_; }

 private:
  void RunOnce(Direction direction, const FaultRow& row, FaultySyscalls& syscalls) {
    medium_.SetContent(before_);
    BlockFile file = testing::OpenFile(medium_, {.write = true, .direct = direct_});
    if (direct_ && !file.direct()) throw testing::Skip{"no O_DIRECT on " + medium_.path()};
    const auto engine = testing::MakeEngine(engine_, syscalls);
    std::copy(payload_.begin(), payload_.end(), slab_.data());
    const Status status = RunBatch(syscalls, *engine, file, direction, slab_.bytes(), operations_);
    Expect(file.Sync(Syscalls::Real()).ok(), "sync");
    CheckStatus(status, row, syscalls);
    CheckBytes(direction, status.ok());
  }

  void CheckStatus(const Status& status, const FaultRow& row, const FaultySyscalls& syscalls) {
    const std::string what = title_ + ": " + testing::Describe(status);
    if (syscalls.injected() == 0 || row.survived) Expect(status.ok(), what);
    if (status.ok()) return;
    Expect(status.fault == Fault::kSystem, what);
    // A count that ends within a sector is continued where O_DIRECT cannot go on: an error as well.
    const int expected = row.fault.error != 0 ? row.fault.error : EINVAL;
    ExpectEqual(status.error, expected, what);
    if (row.fault.error != 0) Expect(syscalls.FailedAt(status.offset), what + ": failed elsewhere");
    Expect(std::any_of(operations_.begin(), operations_.end(),
                       [&](const Operation& operation) {
                         return status.offset >= operation.offset / 4096 * 4096 &&
                                status.offset < operation.offset + operation.length;
                       }),
           what + ": in no operation");
  }

  void CheckBytes(Direction direction, bool whole) {
    const bool reading = direction == Direction::kRead;
    const Bytes file_now = medium_.Content();
    const Bytes slab_now(slab_.data(), slab_.data() + slab_.size());
    Bytes file_wanted = before_;
    Bytes slab_wanted = payload_;
    for (const Operation& operation : operations_) {
      const auto in_file = static_cast<std::ptrdiff_t>(operation.offset);
      const auto in_slab = static_cast<std::ptrdiff_t>(operation.slab_position);
      const auto target = reading ? in_slab : in_file;
      // What a failed batch left in its own ranges is not promised.
      auto right = (reading ? slab_now : file_now).cbegin() + target;
      if (whole) right = reading ? before_.cbegin() + in_file : payload_.cbegin() + in_slab;
      std::copy_n(right, operation.length, (reading ? slab_wanted : file_wanted).begin() + target);
    }
    Expect(file_now == file_wanted, title_ + ": the file");
    Expect(slab_now == slab_wanted, title_ + ": the slab");
  }

  testing::Medium& medium_;
  bool direct_;
  const char* engine_;
  std::mt19937_64 random_;
  Bytes before_;
  Bytes payload_;
  Slab slab_;
  std::vector<Operation> operations_;
  std::string title_;
  uint64_t cases_ = 0;
};

void RunCampaign(testing::Medium& medium, bool direct, const char* engine) {
  Campaign campaign(medium, direct, engine);
  campaign.Run(Direction::kRead);
  campaign.Run(Direction::kWrite);
  std::printf("      %llu cases\n", static_cast<unsigned long long>(campaign.cases()));
}

void OnFile(bool direct, const char* engine) {
  // An odd size: the last bytes cannot be reached past the page cache.
  testing::TempFile file(kSize - 1234);
  RunCampaign(file, direct, engine);
}

void OnDevice(uint32_t sector, const char* engine) {
  testing::LoopDevice device(kSize, sector);
  RunCampaign(device, true, engine);
}

const testing::Suite kSuite{
    {"faults on a file past the page cache, io_uring", [] { OnFile(true, "io_uring"); }},
    {"faults on a file past the page cache, threads", [] { OnFile(true, "threads"); }},
    {"faults on a file through the page cache, io_uring", [] { OnFile(false, "io_uring"); }},
    {"faults on a file through the page cache, threads", [] { OnFile(false, "threads"); }},
    {"faults on a device of 512-byte sectors, io_uring", [] { OnDevice(512, "io_uring"); }},
    {"faults on a device of 512-byte sectors, threads", [] { OnDevice(512, "threads"); }},
    {"faults on a device of 4096-byte sectors, io_uring", [] { OnDevice(4096, "io_uring"); }},
    {"faults on a device of 4096-byte sectors, threads", [] { OnDevice(4096, "threads"); }},
};

}  // namespace
}  // namespace lvmsync
