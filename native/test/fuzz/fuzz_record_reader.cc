// Any bytes as a change stream: whatever they say, the reader hands out operations that lie inside
// slab and device, and the same ones however the bytes arrive.
//
// Input: one byte that chooses the rules of a stream without HELLO, one that chooses the slab's
// size and the size of the pieces in which the bytes arrive, then the stream.
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "record_streams.h"
#include "stream_repair.h"

namespace {

using lvmsync::Operation;
using lvmsync::ReadResult;
using lvmsync::RecordReader;
using lvmsync::Slab;
using lvmsync::Status;
using lvmsync::Stop;

constexpr uint64_t kDeviceSize = 100000;  // of a stream without HELLO
// Room for what small inputs name; one that is zeroed quickly.
constexpr size_t kSlabSizes[] = {256 * 1024, 0, 5000, 12288};
// 11 is less than a header. Single bytes cost a system call each, and have their own test.
constexpr size_t kPieces[] = {SIZE_MAX, 11, 64, 4096};

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "violated: %s\n", what);
  std::abort();
}

enum class Rules : uint8_t { kStrict, kForced, kLeftover, kStrictTiny };

struct Setting {
  Rules rules;
  size_t slab_size;
  size_t piece;
};

// Sums over all that was handed out; equal for equal outcomes.
struct Digested {
  uint64_t value = 14695981039346656037U;
  bool operator==(const Digested&) const = default;
  void Add(uint64_t number) { value = (value ^ number) * 1099511628211U; }
  void Add(std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) Add(std::to_integer<uint64_t>(byte));
  }
};

// From the heap, so that the address sanitizer sees a write outside; kept, for its size costs time.
std::span<std::byte> SlabOf(size_t size) {
  static std::map<size_t, std::vector<std::byte>> slabs;
  return slabs.try_emplace(size, size).first->second;
}

class Reading {
 public:
  Reading(std::span<const std::byte> stream, const Setting& setting)
      : setting_(setting),
        input_(stream, [piece = setting.piece] { return piece; }),
        reader_(input_, lvmsync::testing::ReadyFd()),
        slab_(SlabOf(setting.slab_size)) {}

  Digested Run() {
    if (Begin()) {
      while (Step()) {
      }
    }
    return digested_;
  }

 private:
  bool Failed(const Status& status) {
    digested_.Add(static_cast<uint64_t>(status.fault));
    digested_.Add(status.offset);
    Require(status.fault != lvmsync::Fault::kSystem, "no system call failed");
    if (status.fault == lvmsync::Fault::kCorrupt) Require(!status.detail.empty(), "says why");
    return !status.ok();
  }

  bool Begin() {
    std::string line;
    RecordReader::FirstRecord first{};
    if (Failed(reader_.ReadLine(80, &line)) || Failed(reader_.First(&first))) return false;
    Require(line.size() <= 80, "the line is bounded");
    if (first == RecordReader::FirstRecord::kControl) {
      ReadResult result;
      if (Failed(reader_.Next({}, &result))) return false;
      const auto& hello = result.frame.payload;
      if (result.stop != Stop::kFrame || hello.size() < lvmsync::testing::kHelloSize) return false;
      if (setting_.rules != Rules::kLeftover) {
        BeginFramed(hello);
        return true;
      }
    }
    BeginClassic();
    return true;
  }

  void BeginFramed(std::span<const std::byte> hello) {
    framed_ = true;
    lvmsync::FramedRules rules;
    std::memcpy(rules.stream_id.data(), hello.data() + 4, rules.stream_id.size());
    rules.device_size = device_size_ = lvmsync::load_be64(hello.data() + 40);
    rules.sorted = (lvmsync::load_be16(hello.data() + 2) & 1) != 0;
    rules.discards = setting_.rules == Rules::kForced;
    reader_.BeginFramed(rules);
  }

  void BeginClassic() {
    device_size_ = setting_.rules == Rules::kStrictTiny ? 10 : kDeviceSize;
    reader_.BeginClassic(
        {.device_size = device_size_,
         .strict = setting_.rules == Rules::kStrict || setting_.rules == Rules::kStrictTiny,
         .skip_control = setting_.rules == Rules::kLeftover});
  }

  bool Step() {
    ReadResult result;
    if (Failed(reader_.Next(slab_, &result))) {
      Require(result.operations.empty(), "nothing is handed out with a failure");
      return false;
    }
    Require(++results_ < 100000, "it comes to an end");
    digested_.Add(static_cast<uint64_t>(result.stop));
    if (framed_ && result.stop != Stop::kGroup) {
      Require(result.operations.empty(), "only whole groups are handed out");
    }
    if (result.stop == Stop::kFull) Require(!result.operations.empty(), "a full batch has bytes");
    RequireSound(result);
    return result.stop != Stop::kEnd;
  }

  void RequireSound(const ReadResult& result) {
    Require(result.operations.size() <= lvmsync::kLargestGroupRecords, "operations are bounded");
    Require(result.bytes <= lvmsync::kLargestGroupBytes, "bytes are bounded");
    std::vector<Operation> sorted = result.operations;
    uint64_t slab_end = 0;
    uint64_t bytes = 0;
    for (const Operation& operation : result.operations) {
      Require(operation.length > 0, "no empty operations");
      Require(operation.slab_position >= slab_end, "payloads do not overlap");
      slab_end = operation.slab_position + operation.length;
      Require(slab_end <= slab_.size(), "payloads lie in the slab");
      Require(operation.offset % 4096 == operation.slab_position % 4096, "and where they agree");
      Require(operation.offset + operation.length <= device_size_, "and on the device");
      bytes += operation.length;
      digested_.Add(operation.offset);
      digested_.Add(slab_.subspan(operation.slab_position, operation.length));
    }
    Require(bytes == result.bytes, "bytes are counted");
    std::sort(sorted.begin(), sorted.end(),
              [](const Operation& a, const Operation& b) { return a.offset < b.offset; });
    for (size_t i = 1; i < sorted.size(); i++) {
      Require(sorted[i - 1].offset + sorted[i - 1].length <= sorted[i].offset,
              "places do not overlap");
    }
  }

  Setting setting_;
  lvmsync::testing::MemoryInput input_;
  RecordReader reader_;
  std::span<std::byte> slab_;
  bool framed_ = false;
  uint64_t device_size_ = 0;
  uint64_t results_ = 0;
  Digested digested_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  Setting setting{static_cast<Rules>(data[0] % 4), kSlabSizes[data[1] % 4], SIZE_MAX};
  const auto stream = std::as_bytes(std::span(data + 2, size - 2));
  const Digested whole = Reading(stream, setting).Run();
  setting.piece = kPieces[data[1] / 4 % 4];
  if (setting.piece != SIZE_MAX) {
    Require(Reading(stream, setting).Run() == whole, "pieces do not matter");
  }
  return 0;
}

#ifdef LVMSYNC_FUZZ
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t largest);

// Most inputs are made consistent after they were changed, so that what lies behind the checks is
// reached too.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t largest,
                                          unsigned int seed) {
  size = LLVMFuzzerMutate(data, size, largest);
  if (size <= 2 || seed % 8 == 0) return size;
  const auto stream = std::as_bytes(std::span(data + 2, size - 2));
  const auto repaired = lvmsync::testing::StreamRepair::Repaired(stream);
  const size_t length = std::min(repaired.size(), largest - 2);
  std::memcpy(data + 2, repaired.data(), length);
  return 2 + length;
}
#endif
