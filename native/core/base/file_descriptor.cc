#include "core/base/file_descriptor.h"

#include <unistd.h>

#include <cerrno>

namespace lvmsync {

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) ::close(fd_);
}

int FileDescriptor::Close() {
  const int fd = std::exchange(fd_, -1);
  return fd >= 0 && ::close(fd) != 0 ? errno : 0;
}

}  // namespace lvmsync
