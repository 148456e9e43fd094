#include "core/io/block_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>

namespace lvmsync {
namespace {

// Alignment of direct transfers of a regular file: a page serves every common file system,
// and keeps what goes through the page cache apart from what goes past it.
constexpr uint32_t kPage = 4096;

Status Failed(const char* syscall) { return Status::System(errno, syscall, 0); }

}  // namespace

Status BlockFile::Open(const std::string& path, const OpenOptions& options, BlockFile* file) {
  struct stat before {};
  if (::stat(path.c_str(), &before) != 0) return Failed("open");
  // Opening a fifo would block, and nothing else can be read at an offset.
  if (!S_ISBLK(before.st_mode) && !S_ISREG(before.st_mode)) {
    return Status::System(EINVAL, "open", 0);
  }
  BlockFile opened;
  int flags = (options.write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY;
  if (options.exclusive && S_ISBLK(before.st_mode)) flags |= O_EXCL;
  opened.buffered_ = FileDescriptor(::open(path.c_str(), flags));
  if (!opened.buffered_.valid()) return Failed("open");
  if (Status status = opened.Inspect(); !status.ok()) return status;
  if (options.exclusive && !opened.info_.block_device &&
      ::flock(opened.buffered_.get(), LOCK_EX | LOCK_NB) != 0) {
    return Failed("flock");
  }
  opened.info_.direct_error = ENOTSUP;
  if (options.direct) {
    if (Status status = opened.OpenDirect(path, flags & ~O_EXCL); !status.ok()) return status;
  }
  *file = std::move(opened);
  return Status::Ok();
}

// Everything is read from the descriptor, not from the path, which may have changed meanwhile.
Status BlockFile::Inspect() {
  struct stat now {};
  if (::fstat(buffered_.get(), &now) != 0) return Failed("fstat");
  info_.block_device = S_ISBLK(now.st_mode);
  if (!info_.block_device && !S_ISREG(now.st_mode)) return Status::System(EINVAL, "open", 0);
  const dev_t device = info_.block_device ? now.st_rdev : now.st_dev;
  info_.major = major(device);
  info_.minor = minor(device);
  info_.inode = now.st_ino;
  info_.alignment = kPage;
  if (info_.block_device) {
    int sector = 0;
    int read_only = 0;
    if (::ioctl(buffered_.get(), BLKSSZGET, &sector) != 0) return Failed("ioctl(BLKSSZGET)");
    if (::ioctl(buffered_.get(), BLKROGET, &read_only) != 0) return Failed("ioctl(BLKROGET)");
    info_.alignment = static_cast<uint32_t>(sector);
    info_.read_only = read_only != 0;
  }
  return Status::Ok();
}

Status BlockFile::OpenDirect(const std::string& path, int flags) {
  FileDescriptor direct(::open(path.c_str(), flags | O_DIRECT));
  if (!direct.valid()) {
    info_.direct_error = errno;
    // The page cache of a device that others write past it may be stale.
    if (info_.block_device) ::ioctl(buffered_.get(), BLKFLSBUF, 0);
    return Status::Ok();
  }
  struct stat first {};
  struct stat second {};
  if (::fstat(buffered_.get(), &first) != 0 || ::fstat(direct.get(), &second) != 0) {
    return Failed("fstat");
  }
  if (first.st_dev != second.st_dev || first.st_ino != second.st_ino ||
      first.st_rdev != second.st_rdev) {
    return Status::System(ESTALE, "open", 0);
  }
  direct_ = std::move(direct);
  info_.direct_error = 0;
  return Status::Ok();
}

Status BlockFile::Size(uint64_t* size) const {
  if (info_.block_device) {
    if (::ioctl(buffered_.get(), BLKGETSIZE64, size) != 0) return Failed("ioctl(BLKGETSIZE64)");
    return Status::Ok();
  }
  struct stat now {};
  if (::fstat(buffered_.get(), &now) != 0) return Failed("fstat");
  *size = static_cast<uint64_t>(now.st_size);
  return Status::Ok();
}

Status BlockFile::Sync(const Syscalls& syscalls) const {
  // One file, one inode: either descriptor makes the writes through both durable.
  if (syscalls.Fsync(fd()) != 0) return Failed("fsync");
  return Status::Ok();
}

Status BlockFile::Resize(uint64_t size) const {
  if (::ftruncate(buffered_.get(), static_cast<off_t>(size)) != 0) {
    return Status::System(errno, "ftruncate", size);
  }
  return Status::Ok();
}

Status BlockFile::Close() {
  const int first = direct_.Close();
  const int second = buffered_.Close();
  const int error = first != 0 ? first : second;
  return error == 0 ? Status::Ok() : Status::System(error, "close", 0);
}

}  // namespace lvmsync
