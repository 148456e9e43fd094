// What the writer writes the reader reads, over any descriptor and however the bytes arrive.
#include <fcntl.h>
#include <unistd.h>

#include <thread>

#include "batch_media.h"
#include "record_streams.h"
#include "testing.h"

namespace lvmsync {
namespace {

using testing::Expect;
using testing::ExpectEqual;
using testing::Form;
using testing::Group;
using testing::Outcome;
using testing::ReadStream;

struct Sample {
  const char* name;
  Form form;
  uint64_t bytes;
  uint64_t longest;
};

constexpr Sample kSamples[] = {
    {"sorted", Form::kSorted, 60000, 3000},
    {"sorted, long records", Form::kSorted, 9 << 20, kLargestFramedRecord},
    {"unsorted", Form::kUnsorted, 60000, 3000},
    {"unsorted, many records", Form::kUnsorted, 30000, 20},
    {"unsorted, long records", Form::kUnsorted, 9 << 20, kLargestFramedRecord},
    {"classic", Form::kClassic, 60000, 1500},
    {"classic, long records", Form::kClassic, 9 << 20, 200000},
};

struct Stream {
  std::vector<Group> groups;
  uint64_t device_size = 0;
  testing::Bytes bytes;
};

Stream Make(const Sample& sample, std::mt19937_64& random) {
  Stream stream;
  stream.groups =
      testing::RandomGroups(sample.bytes, sample.longest, sample.form, random, &stream.device_size);
  stream.bytes = testing::MakeStream(stream.groups, sample.form, stream.device_size);
  return stream;
}

// Classic streams have no groups: all their bytes, wherever one batch ends and the next begins.
std::vector<testing::Record> AllParts(const std::vector<testing::Delivery>& deliveries) {
  Group all;
  for (const auto& delivery : deliveries) {
    all.insert(all.end(), delivery.parts.begin(), delivery.parts.end());
  }
  return testing::Joined(all);
}

void ExpectRight(const Outcome& outcome, const Sample& sample, const Stream& stream) {
  const std::string name = sample.name;
  Expect(outcome.whole(sample.form != Form::kClassic),
         name + ": " + testing::Describe(outcome.status) + outcome.reason);
  uint64_t records = 0;
  for (const Group& group : stream.groups) records += group.size();
  ExpectEqual(outcome.records, records, name + ": records");
  const auto expected = testing::Expected(stream.groups);
  if (sample.form == Form::kClassic) {
    Expect(AllParts(outcome.deliveries) == AllParts(expected), name + ": the same bytes");
  } else {
    Expect(outcome.deliveries == expected, name + ": the same groups");
  }
}

void RoundTripsThroughAFile() {
  std::mt19937_64 random(testing::Seed());
  for (const Sample& sample : kSamples) {
    const Stream stream = Make(sample, random);
    testing::TempFile file;
    RecordWriter writer(Syscalls::Real(), file.fd(), testing::TestStreamId());
    WriteStream(writer, stream.groups, sample.form, stream.device_size);
    ExpectEqual<uint64_t>(writer.totals().position, stream.bytes.size(), "position");
    ExpectEqual<uint64_t>(writer.totals().groups, stream.groups.size(), "groups");
    Expect(writer.SyncData().ok(), "sync");
    Expect(::lseek(file.fd(), 0, SEEK_SET) == 0, "seek");
    const testing::ReadOptions options{.fd = file.fd(),
                                       .classic = {.device_size = stream.device_size}};
    ExpectRight(testing::StreamSession(Syscalls::Real(), options).Run(), sample, stream);
  }
}

void RoundTripsThroughAPipe() {
  std::mt19937_64 random(testing::Seed());
  for (const int flags : {0, O_NONBLOCK}) {
    for (const Sample& sample : kSamples) {
      const Stream stream = Make(sample, random);
      int ends[2];
      Expect(::pipe2(ends, O_CLOEXEC | flags) == 0, "pipe2");
      const FileDescriptor reader(ends[0]);
      std::string failed;
      std::thread thread([&] {
        FileDescriptor writer_end(ends[1]);
        RecordWriter writer(Syscalls::Real(), writer_end.get(), testing::TestStreamId());
        try {
          WriteStream(writer, stream.groups, sample.form, stream.device_size);
        } catch (const std::exception& error) {
          failed = error.what();
        }
      });
      const testing::ReadOptions options{.fd = reader.get(),
                                         .classic = {.device_size = stream.device_size}};
      const Outcome outcome = testing::StreamSession(Syscalls::Real(), options).Run();
      thread.join();
      Expect(failed.empty(), failed);
      ExpectRight(outcome, sample, stream);
    }
  }
}

Outcome ReadInPieces(const testing::Bytes& bytes, const testing::ReadOptions& options,
                     testing::MemoryInput::Most most) {
  const testing::MemoryInput input(bytes, std::move(most));
  return testing::StreamSession(input, options).Run();
}

// The stream as it is, cut, and with a flipped bit.
void JudgesAlikeHoweverBytesArrive() {
  std::mt19937_64 random(testing::Seed());
  for (const Sample& sample : kSamples) {
    const Stream stream = Make(sample, random);
    const testing::ReadOptions options{.classic = {.device_size = stream.device_size}};
    ExpectRight(ReadStream(stream.bytes, options), sample, stream);
    const int rounds = stream.bytes.size() > 1000000 ? 6 : 60;
    for (int round = 0; round < rounds; round++) {
      testing::Bytes bytes = stream.bytes;
      if (round % 3 == 1) bytes.resize(random() % bytes.size());
      if (round % 3 == 2) {
        bytes[random() % bytes.size()] ^= static_cast<std::byte>(1 << random() % 8);
      }
      const Outcome whole = ReadStream(bytes, options);
      const Outcome pieces = ReadInPieces(
          bytes, options, [&] { return 1 + random() % (random() % 2 == 0 ? 20 : 100000); });
      Expect(whole.SameVerdict(pieces),
             std::string(sample.name) + ": random pieces, round " + std::to_string(round));
      if (bytes.size() > 1000000) continue;
      const Outcome single = ReadInPieces(bytes, options, [] { return size_t{1}; });
      Expect(whole.SameVerdict(single),
             std::string(sample.name) + ": single bytes, round " + std::to_string(round));
    }
  }
}

// What a reader joins may be longer than a record may be: a log of it must be readable again.
void SplitsLongOperations() {
  std::mt19937_64 random(testing::Seed());
  const uint64_t length = 3 * kLargestFramedRecord + 5;
  const std::vector<Group> groups{{{4096, testing::RandomBytes(length, random)},
                                   {length + 8192, testing::RandomBytes(9, random)}}};
  const testing::Bytes bytes = testing::MakeStream(groups, Form::kSorted, 5 << 20);
  const Outcome outcome = ReadStream(bytes);
  Expect(outcome.whole(true), testing::Describe(outcome.status) + outcome.reason);
  ExpectEqual<uint64_t>(outcome.records, 5, "records of at most 1 MiB");
  Expect(outcome.deliveries == testing::Expected(groups), "the same bytes");
}

Group ManyRecords(size_t count, uint64_t length) {
  Group group;
  for (uint64_t i = 0; i < count; i++) group.push_back({2 * i * length, testing::Bytes(length)});
  return group;
}

void RefusesGroupsThatNoReaderTakes() {
  const Group rows[] = {
      ManyRecords(kLargestGroupRecords + 1, 1),
      ManyRecords(5, kLargestFramedRecord),
      // Split, it is one record too many.
      [] {
        Group group = ManyRecords(kLargestGroupRecords - 1, 1);
        group.push_back({1 << 20, testing::Bytes(kLargestFramedRecord + 1)});
        return group;
      }(),
  };
  for (const Group& group : rows) {
    const testing::MemoryOutput output;
    RecordWriter writer(output, testing::ReadyFd(), testing::TestStreamId());
    testing::Bytes slab;
    const auto operations = testing::LayOut(group, &slab);
    if (operations.size() == kLargestGroupRecords) {
      Expect(writer.WriteGroup(slab, std::span(operations).first(5), true, 0).ok(), "a small one");
      output.bytes().clear();
    }
    const Status status = writer.WriteGroup(slab, operations, true, 0);
    Expect(status.fault == Fault::kCorrupt, testing::Describe(status));
    Expect(output.bytes().empty(), "nothing of it is written");
  }
  const testing::MemoryOutput output;
  RecordWriter writer(output, testing::ReadyFd(), testing::TestStreamId());
  testing::Bytes slab(100);
  for (const Operation& row : {Operation{0, 101, 0}, {0, 1, 100}, {0, 0, 0}, {0, 8, UINT64_MAX}}) {
    const Status status = writer.WriteGroup(slab, std::span(&row, 1), false, 0);
    Expect(status.fault == Fault::kCorrupt, testing::Describe(status));
  }
}

// A classic stream's batch becomes a group of the log of what it overwrites.
void KeepsClassicBatchesWithinAGroup() {
  for (const uint64_t length :
       {uint64_t{512}, uint64_t{4096}, uint64_t{100000}, uint64_t{9} << 20}) {
    const size_t count = length > 1000000 ? 2 : 3000;
    testing::Bytes bytes;
    testing::AppendText(bytes, testing::kHandshake);
    for (uint64_t i = 0; i < count; i++) testing::AppendRecord(bytes, 2 * i * length, length);
    const Outcome outcome = ReadStream(bytes, {.classic = {.device_size = uint64_t{1} << 40}});
    Expect(outcome.whole(false), testing::Describe(outcome.status));
    uint64_t total = 0;
    for (const auto& delivery : outcome.deliveries) {
      uint64_t size = 0;
      for (const auto& part : delivery.parts) size += part.payload.size();
      Expect(delivery.parts.size() <= kLargestGroupRecords, "operations of a batch");
      Expect(size <= kLargestGroupBytes, "bytes of a batch");
      total += size;
    }
    ExpectEqual(total, count * length, "nothing is lost");
  }
}

const testing::Suite kSuite{
    {"a stream comes back from a file as it was written", RoundTripsThroughAFile},
    {"a stream comes back from a pipe as it was written", RoundTripsThroughAPipe},
    {"the verdict on a stream does not depend on how its bytes arrive",
     JudgesAlikeHoweverBytesArrive},
    {"an operation longer than a framed record becomes several", SplitsLongOperations},
    {"a group that no reader would take is not written", RefusesGroupsThatNoReaderTakes},
    {"a batch of a classic stream fits into a group", KeepsClassicBatchesWithinAGroup},
};

}  // namespace
}  // namespace lvmsync
