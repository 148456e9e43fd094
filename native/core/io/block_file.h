// An open block device or regular file: opens, claims and measures it, past the page cache where
// the kernel allows it. batch.h reads and writes.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "core/base/file_descriptor.h"
#include "core/base/result.h"
#include "core/base/syscalls.h"

namespace lvmsync {

struct OpenOptions {
  bool write = false;
  // Claim it against other writers: O_EXCL on a block device (EBUSY if something in the kernel
  // holds it), flock on a regular file (EWOULDBLOCK if another run of ours does).
  bool exclusive = false;
  // false: do not even try O_DIRECT.
  bool direct = true;
};

struct BlockFileInfo {
  bool block_device = false;
  uint32_t major = 0;  // of the device itself, or of the file system a regular file is on
  uint32_t minor = 0;
  uint64_t inode = 0;
  bool read_only = false;  // BLKROGET: an open for writing succeeds on such a device all the same
  uint32_t alignment = 1;  // bytes; offsets and lengths of direct transfers are multiples of it
  int direct_error = 0;    // why O_DIRECT is not in use, 0 if it is
};

class BlockFile {
 public:
  // Fault::kSystem with `syscall` naming the step that failed. EINVAL from "open" means that `path`
  // is neither a block device nor a regular file.
  static Status Open(const std::string& path, const OpenOptions& options, BlockFile* file);

  // Transfers go here: aligned only, if info().direct_error is 0.
  int fd() const { return direct_.valid() ? direct_.get() : buffered_.get(); }
  // For the unaligned ends of a regular file; the same as fd() where O_DIRECT is not in use.
  // A block device has no unaligned ends: its size is a multiple of the alignment.
  int buffered_fd() const { return buffered_.valid() ? buffered_.get() : direct_.get(); }
  bool direct() const { return direct_.valid(); }
  const BlockFileInfo& info() const { return info_; }
  // To be held from reading a block until it is written back with some of its bytes replaced.
  std::mutex& patch_mutex() const { return *patch_mutex_; }

  // The size now, in bytes.
  Status Size(uint64_t* size) const;
  // Everything written so far is durable when this returns Ok. Never to be retried after a failure.
  Status Sync(const Syscalls& syscalls) const;
  // Sets the length of a regular file; bytes it gains read as zeros.
  Status Resize(uint64_t size) const;
  Status Close();

 private:
  Status Inspect();
  Status OpenDirect(const std::string& path, int flags);

  FileDescriptor direct_;
  FileDescriptor buffered_;
  BlockFileInfo info_;
  std::unique_ptr<std::mutex> patch_mutex_ = std::make_unique<std::mutex>();
};

}  // namespace lvmsync
