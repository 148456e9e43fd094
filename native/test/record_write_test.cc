// Writing a stream through every way a descriptor can fail, and ending a wait from another thread.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "batch_media.h"
#include "faulty_syscalls.h"
#include "record_streams.h"
#include "testing.h"

namespace lvmsync {
namespace {

using testing::Bytes;
using testing::Expect;
using testing::ExpectEqual;
using testing::FaultySyscalls;
using testing::Form;
using testing::Group;
using testing::Injected;

struct Pipe {
  explicit Pipe(int flags = 0) {
    int ends[2];
    Expect(::pipe2(ends, O_CLOEXEC | flags) == 0, "pipe2");
    reader = FileDescriptor(ends[0]);
    writer = FileDescriptor(ends[1]);
  }
  FileDescriptor reader;
  FileDescriptor writer;
};

std::vector<Group> SomeGroups() {
  std::mt19937_64 random(testing::Seed());
  uint64_t device_size = 0;
  return testing::RandomGroups(3000, 400, Form::kSorted, random, &device_size);
}

// The stream of SomeGroups, up to the first write that fails.
Status WriteGroups(RecordWriter& writer, std::span<const Group> groups) {
  Bytes slab;
  for (const Group& group : groups) {
    const auto operations = testing::LayOut(group, &slab);
    Status status = writer.WriteGroup(slab, operations, true, GroupMark::kNoneDurable);
    if (!status.ok()) return status;
  }
  return Status::Ok();
}

struct Row {
  Injected fault;
  uint64_t run;
  bool survived;
};

void WritesOnThroughInterruptions() {
  const std::vector<Group> groups = SomeGroups();
  testing::TempFile right;
  RecordWriter plain(Syscalls::Real(), right.fd(), testing::TestStreamId());
  Expect(WriteGroups(plain, groups).ok(), "the right bytes");
  const Row rows[] = {
      {{"EINTR", EINTR}, 30, true},
      {{"EAGAIN", EAGAIN}, 30, true},
      {{.name = "512 bytes", .most = 512}, 30, true},
      {{.name = "1 byte", .most = 1}, FaultySyscalls::kForever, true},
      {{"EIO", EIO}, FaultySyscalls::kForever, false},
      {{"ENOSPC", ENOSPC}, FaultySyscalls::kForever, false},
      {{"EPIPE", EPIPE}, FaultySyscalls::kForever, false},
  };
  for (const Row& row : rows) {
    for (const uint64_t run : {uint64_t{1}, row.run}) {
      bool reached = true;
      for (uint64_t first = 1; reached; first++) {
        const FaultySyscalls syscalls(row.fault, first, run);
        testing::TempFile file;
        RecordWriter writer(syscalls, file.fd(), testing::TestStreamId());
        const Status status = WriteGroups(writer, groups);
        reached = syscalls.injected() > 0;
        const std::string what = std::string(row.fault.name) + " from call " +
                                 std::to_string(first) + ": " + testing::Describe(status);
        ExpectEqual(status.ok(), row.survived || !reached, what);
        const Bytes written = file.Content();
        const Bytes whole = right.Content();
        ExpectEqual<uint64_t>(writer.taken(), written.size(), what + ": bytes taken");
        Expect(std::equal(written.begin(), written.end(), whole.begin()), what + ": the bytes");
        if (status.ok()) {
          ExpectEqual(written.size(), whole.size(), what + ": all bytes");
        } else {
          ExpectEqual(status.error, row.fault.error, what);
          ExpectEqual<uint64_t>(status.offset, written.size(), what + ": the place");
        }
      }
    }
  }
}

void NamesTheByteWhereADiskIsFull() {
  const FileDescriptor full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  if (!full.valid()) throw testing::Skip{"no /dev/full"};
  RecordWriter writer(Syscalls::Real(), full.get(), testing::TestStreamId());
  const Status status = WriteGroups(writer, SomeGroups());
  ExpectEqual(status.error, ENOSPC, testing::Describe(status));
  ExpectEqual<uint64_t>(status.offset, 0, "the place");
}

void NamesTheByteWhereAReaderLeft() {
  // As Node does.
  ::signal(SIGPIPE, SIG_IGN);
  Pipe pipe;
  RecordWriter writer(Syscalls::Real(), pipe.writer.get(), testing::TestStreamId());
  Expect(writer.WriteRaw(std::as_bytes(std::span(testing::kHandshake))).ok(), "the first line");
  ExpectEqual(pipe.reader.Close(), 0, "close");
  const Status status = WriteGroups(writer, SomeGroups());
  ExpectEqual(status.error, EPIPE, testing::Describe(status));
  ExpectEqual<uint64_t>(status.offset, testing::kHandshake.size(), "the place");
}

// More vectors than one call takes.
void WritesMoreRecordsThanACallTakes() {
  Group group;
  for (uint64_t i = 0; i < kLargestGroupRecords; i++) group.push_back({i * 8, Bytes(3)});
  testing::TempFile file;
  RecordWriter writer(Syscalls::Real(), file.fd(), testing::TestStreamId());
  Expect(WriteGroups(writer, std::span(&group, 1)).ok(), "written");
  const size_t size = kLargestGroupRecords * (kHeaderSize + 3) + EncodeGroup({}).size();
  ExpectEqual(file.Content().size(), size, "all of it");
}

void SaysWhyASyncFails() {
  const FaultySyscalls syscalls({"EIO", EIO}, 1, FaultySyscalls::kForever);
  testing::TempFile file;
  const RecordWriter writer(syscalls, file.fd(), testing::TestStreamId());
  const Status status = writer.SyncData();
  ExpectEqual(status.error, EIO, "errno");
  ExpectEqual<std::string>(status.syscall, "fdatasync", "the call");
}

template <typename Body>
void CancelLater(Body cancel, Status* status, const std::function<Status()>& work) {
  std::thread thread([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    cancel();
  });
  *status = work();
  thread.join();
}

void CancelEndsABlockedRead() {
  const Pipe pipe;
  Expect(::write(pipe.writer.get(), "lvms", 4) == 4, "a beginning");
  RecordReader reader(Syscalls::Real(), pipe.reader.get());
  std::string line;
  Status status;
  CancelLater([&] { reader.Cancel(); }, &status, [&] { return reader.ReadLine(80, &line); });
  Expect(status.fault == Fault::kCancelled, testing::Describe(status));
  // It stays so.
  Expect(reader.ReadLine(80, &line).fault == Fault::kCancelled, "a later read");
}

void CancelEndsABlockedWrite() {
  const Pipe pipe(O_NONBLOCK);
  RecordWriter writer(Syscalls::Real(), pipe.writer.get(), testing::TestStreamId());
  Bytes slab(1 << 20);
  const std::vector<Operation> operations{{0, slab.size(), 0}};
  Status status;
  CancelLater([&] { writer.Cancel(); }, &status,
              [&] { return writer.WriteGroup(slab, operations, true, 0); });
  Expect(status.fault == Fault::kCancelled, testing::Describe(status));
  Expect(writer.taken() > 0 && writer.taken() < slab.size(), "the pipe took a part");
  ExpectEqual(status.offset, writer.taken(), "the place");
}

int RoomOf(const Pipe& pipe) { return ::fcntl(pipe.writer.get(), F_GETPIPE_SZ); }

void WidensPipesAtBothEnds() {
  const Pipe written;
  const RecordWriter writer(Syscalls::Real(), written.writer.get(), testing::TestStreamId());
  ExpectEqual(RoomOf(written), 256 * 1024, "one that is written");
  const Pipe read;
  const RecordReader reader(Syscalls::Real(), read.reader.get());
  ExpectEqual(RoomOf(read), 256 * 1024, "one that is read");
  const Pipe wider;
  Expect(::fcntl(wider.writer.get(), F_SETPIPE_SZ, 512 * 1024) > 0, "F_SETPIPE_SZ");
  const RecordReader again(Syscalls::Real(), wider.reader.get());
  ExpectEqual(RoomOf(wider), 512 * 1024, "one that is wider");
}

const testing::Suite kSuite{
    {"a group is written whole or up to the byte that is named", WritesOnThroughInterruptions},
    {"a full disk is named with its byte", NamesTheByteWhereADiskIsFull},
    {"a reader that left is named with its byte", NamesTheByteWhereAReaderLeft},
    {"a group with more records than one call takes is written whole",
     WritesMoreRecordsThanACallTakes},
    {"a failed sync is named", SaysWhyASyncFails},
    {"cancel ends a read that waits", CancelEndsABlockedRead},
    {"cancel ends a write that waits for its reader", CancelEndsABlockedWrite},
    {"a pipe gets more room, never less", WidensPipesAtBothEnds},
};

}  // namespace
}  // namespace lvmsync
