// An exception store on a COW device, or in a file.
#pragma once

#include "core/base/syscalls.h"
#include "core/io/block_file.h"
#include "core/io/io_engine.h"
#include "core/store/store_reader.h"

namespace lvmsync {

// Files of any size: what lies behind the last whole block is read through the page cache. Owns
// nothing of what it is given, which has to outlive it. One thread at a time.
class FileStoreReader final : public StoreReader {
 public:
  FileStoreReader(const Syscalls& syscalls, IoEngine& engine, const BlockFile& file)
      : syscalls_(syscalls), engine_(engine), file_(file) {}

  // Asks for the size, before anything else is called. Fails as BlockFile::Size does.
  Status Open() { return file_.Size(&size_); }

  uint64_t size() const override { return size_; }
  uint32_t alignment() const override { return file_.direct() ? file_.info().alignment : 512; }
  uint32_t logical_block() const override {
    return file_.info().block_device ? file_.info().alignment : 512;
  }
  Status Read(std::span<const Extent> extents, std::span<std::byte> into) override;

 private:
  const Syscalls& syscalls_;
  IoEngine& engine_;
  const BlockFile& file_;
  uint64_t size_ = 0;
};

}  // namespace lvmsync
