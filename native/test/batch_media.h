// Temporary files and loop devices for tests of block I/O, and what they hold.
#pragma once

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/io/block_file.h"
#include "core/io/io_engine.h"
#include "testing.h"

namespace lvmsync::testing {

using Bytes = std::vector<std::byte>;

inline Bytes RandomBytes(size_t size, std::mt19937_64& random) {
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random() & 0xff);
  return bytes;
}

// The medium of a block test. Content goes through the backing file, not through the code under
// test.
class Medium {
 public:
  virtual ~Medium() = default;
  virtual std::string path() const = 0;
  virtual void SetContent(const Bytes& bytes) = 0;
  virtual Bytes Content() const = 0;
};

// A regular file in the folder for temporary files, gone with the object.
class TempFile final : public Medium {
 public:
  explicit TempFile(uint64_t size = 0) {
    path_ = (std::filesystem::temp_directory_path() / "lvmsync-test-XXXXXX").string();
    fd_ = FileDescriptor(::mkostemp(path_.data(), O_CLOEXEC));
    Expect(fd_.valid(), "a temporary file");
    Expect(::ftruncate(fd_.get(), static_cast<off_t>(size)) == 0, "its size");
  }
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  ~TempFile() override { ::unlink(path_.c_str()); }

  std::string path() const override { return path_; }
  int fd() const { return fd_.get(); }

  void SetContent(const Bytes& bytes) override {
    Expect(::ftruncate(fd_.get(), static_cast<off_t>(bytes.size())) == 0, "the size");
    const ssize_t count = ::pwrite(fd_.get(), bytes.data(), bytes.size(), 0);
    Expect(count == static_cast<ssize_t>(bytes.size()), "the content");
  }

  Bytes Content() const override {
    Bytes bytes(std::filesystem::file_size(path_));
    const ssize_t count = ::pread(fd_.get(), bytes.data(), bytes.size(), 0);
    Expect(count == static_cast<ssize_t>(bytes.size()), "the content");
    return bytes;
  }

 private:
  std::string path_;
  FileDescriptor fd_;
};

// A block device over a temporary file. Throws Skip where the machine lets nobody make one.
class LoopDevice final : public Medium {
 public:
  LoopDevice(uint64_t size, uint32_t sector, bool read_only = false) : file_(size) {
    const FileDescriptor control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    if (!control.valid()) throw Skip{std::string("no loop devices: ") + std::strerror(errno)};
    loop_config config{};
    config.fd = static_cast<uint32_t>(file_.fd());
    config.block_size = sector;
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR | (read_only ? LO_FLAGS_READ_ONLY : 0);
    for (int attempt = 0; attempt < 20; attempt++) {
      const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
      if (number < 0) break;
      path_ = "/dev/loop" + std::to_string(number);
      device_ = FileDescriptor(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
      if (!device_.valid()) break;
      if (::ioctl(device_.get(), LOOP_CONFIGURE, &config) == 0) return;
      // Another process was faster.
      if (errno != EBUSY) break;
    }
    throw Skip{std::string("no loop device: ") + std::strerror(errno)};
  }

  std::string path() const override { return path_; }
  void SetContent(const Bytes& bytes) override { file_.SetContent(bytes); }
  Bytes Content() const override { return file_.Content(); }

 private:
  TempFile file_;
  std::string path_;
  FileDescriptor device_;
};

inline BlockFile OpenFile(const Medium& medium, const OpenOptions& options) {
  BlockFile file;
  const Status status = BlockFile::Open(medium.path(), options, &file);
  Expect(status.ok(), std::string(status.syscall) + ": " + std::strerror(status.error));
  return file;
}

inline std::unique_ptr<IoEngine> MakeEngine(const std::string& name, const Syscalls& syscalls) {
  if (name == "threads") return MakeThreadEngine(syscalls);
  int error = 0;
  auto engine = MakeRingEngine(syscalls, &error);
  if (engine == nullptr) throw Skip{std::string("no io_uring: ") + std::strerror(error)};
  return engine;
}

inline std::string Describe(const Status& status) {
  return "fault " + std::to_string(static_cast<int>(status.fault)) + ", error " +
         std::to_string(status.error) + " of " + status.syscall + " at " +
         std::to_string(status.offset) + " " + status.detail;
}

}  // namespace lvmsync::testing
