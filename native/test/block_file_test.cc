// Opening, claiming, measuring and closing files and devices.
#include "core/io/block_file.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "batch_media.h"
#include "faulty_syscalls.h"
#include "testing.h"

namespace lvmsync {
namespace {

using testing::Expect;
using testing::ExpectEqual;

Status TryOpen(const std::string& path, const OpenOptions& options) {
  BlockFile file;
  Status status = BlockFile::Open(path, options, &file);
  Expect(status.ok() || file.fd() == -1, "a refused file is not open");
  return status;
}

void RefusesWhatHasNoOffsets() {
  const testing::TempFile base;
  const std::string fifo = base.path() + ".fifo";
  Expect(::mkfifo(fifo.c_str(), 0600) == 0, "mkfifo");
  struct Row {
    std::string path;
    int error;
  };
  for (const Row& row : {Row{fifo, EINVAL}, Row{"/", EINVAL}, Row{"/dev/null", EINVAL},
                         Row{base.path() + ".none", ENOENT}, Row{base.path() + "/x", ENOTDIR}}) {
    for (const bool write : {false, true}) {
      const Status status = TryOpen(row.path, {.write = write});
      ExpectEqual(status.error, row.error, row.path + ": " + testing::Describe(status));
      ExpectEqual<std::string>(status.syscall, "open", row.path);
    }
  }
  ::unlink(fifo.c_str());
}

void ClaimsAFileOnce() {
  const testing::TempFile medium(4096);
  const BlockFile first = testing::OpenFile(medium, {.write = true, .exclusive = true});
  const Status second = TryOpen(medium.path(), {.write = true, .exclusive = true});
  ExpectEqual(second.error, EWOULDBLOCK, testing::Describe(second));
  ExpectEqual<std::string>(second.syscall, "flock", "the step");
  Expect(TryOpen(medium.path(), {}).ok(), "without a claim it can be read");
}

void ReleasesAClaim() {
  const testing::TempFile medium(4096);
  BlockFile first = testing::OpenFile(medium, {.write = true, .exclusive = true});
  Expect(first.Close().ok(), "close");
  Expect(TryOpen(medium.path(), {.write = true, .exclusive = true}).ok(), "claimed again");
}

void ClaimsADeviceOnce() {
  const testing::LoopDevice medium(1 << 20, 512);
  const BlockFile first = testing::OpenFile(medium, {.write = true, .exclusive = true});
  Expect(first.info().block_device, "a block device");
  Expect(first.direct(), "the second descriptor does not collide with the claim");
  const Status second = TryOpen(medium.path(), {.write = true, .exclusive = true});
  ExpectEqual(second.error, EBUSY, testing::Describe(second));
  ExpectEqual<std::string>(second.syscall, "open", "the step");
}

void KnowsADevice() {
  for (const uint32_t sector : {512U, 4096U}) {
    const testing::LoopDevice medium(1 << 20, sector, true);
    const BlockFile file = testing::OpenFile(medium, {});
    struct stat facts {};
    Expect(::stat(medium.path().c_str(), &facts) == 0, "stat");
    ExpectEqual(file.info().alignment, sector, "alignment");
    Expect(file.info().read_only, "read-only");
    ExpectEqual<dev_t>(makedev(file.info().major, file.info().minor), facts.st_rdev, "number");
    uint64_t size = 0;
    Expect(file.Size(&size).ok(), "size");
    ExpectEqual<uint64_t>(size, 1 << 20, "size");
  }
}

void KnowsAFile() {
  const testing::TempFile medium(12345);
  BlockFile file = testing::OpenFile(medium, {.write = true});
  struct stat facts {};
  Expect(::stat(medium.path().c_str(), &facts) == 0, "stat");
  Expect(!file.info().block_device && !file.info().read_only, "a plain file");
  ExpectEqual<uint64_t>(file.info().inode, facts.st_ino, "inode");
  ExpectEqual(file.info().direct_error == 0, file.direct(), "direct or why not");
  uint64_t size = 0;
  Expect(file.Size(&size).ok(), "size");
  ExpectEqual<uint64_t>(size, 12345, "size");
  Expect(file.Resize(20001).ok() && file.Size(&size).ok(), "grow");
  ExpectEqual<uint64_t>(size, 20001, "grown");
  Expect(medium.Content() == testing::Bytes(20001), "what it gained reads as zeros");

  const BlockFile buffered = testing::OpenFile(medium, {.direct = false});
  Expect(!buffered.direct() && buffered.fd() == buffered.buffered_fd(), "through the page cache");
  Expect(buffered.info().direct_error != 0, "it says so");
  const Status refused = buffered.Resize(1);
  ExpectEqual<std::string>(refused.syscall, "ftruncate", testing::Describe(refused));
}

void ReportsAFailedSync() {
  const testing::TempFile medium(4096);
  const BlockFile file = testing::OpenFile(medium, {.write = true});
  const testing::FaultySyscalls failing({"EIO", EIO}, 1, 1);
  const Status status = file.Sync(failing);
  ExpectEqual(status.error, EIO, testing::Describe(status));
  ExpectEqual<std::string>(status.syscall, "fsync", "the call");
  ExpectEqual<uint64_t>(failing.calls(), 1, "it is not tried again");
}

void MovesItsDescriptors() {
  const testing::TempFile medium(4096);
  BlockFile file = testing::OpenFile(medium, {});
  const int fd = file.fd();
  BlockFile other = std::move(file);
  ExpectEqual(other.fd(), fd, "moved");
  Expect(other.Close().ok(), "close");
  ExpectEqual(other.fd(), -1, "closed");
  Expect(other.Close().ok(), "a closed one has nothing to close");
  uint64_t size = 0;
  ExpectEqual(other.Size(&size).error, EBADF, "nor a size");
}

const testing::Suite kSuite{
    {"what cannot be read at an offset is refused without waiting for it", RefusesWhatHasNoOffsets},
    {"a regular file is claimed once", ClaimsAFileOnce},
    {"closing a file ends its claim", ReleasesAClaim},
    {"a block device is claimed once", ClaimsADeviceOnce},
    {"a block device's facts come from the device", KnowsADevice},
    {"a regular file's facts come from the file", KnowsAFile},
    {"a failed sync is reported and never repeated", ReportsAFailedSync},
    {"a file can be moved, and closed twice", MovesItsDescriptors},
};

}  // namespace
}  // namespace lvmsync
