#include "core/stream/stream_input.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace lvmsync {
namespace {

constexpr size_t kBufferSize = 256 * 1024;
// As much as this is read straight to where it is wanted.
constexpr size_t kDirectRead = 64 * 1024;

}  // namespace

StreamInput::StreamInput(const Syscalls& syscalls, int fd)
    : syscalls_(syscalls), fd_(fd), buffer_(Slab::Allocate(kBufferSize)) {
  WidenPipe(fd);
}

void StreamInput::Take(size_t count) {
  begin_ += count;
  position_ += count;
}

// Reads more behind what is buffered; end_ stays where it is at the end of the input.
Status StreamInput::Fill() {
  if (buffer_.size() == 0) return Status::System(ENOMEM, "mmap", position_);
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  size_t count = 0;
  Status status = ReadSome(syscalls_, fd_, cancellation_, buffer_.bytes().subspan(end_), &count);
  status.offset = position_ + end_;
  end_ += count;
  return status;
}

Status StreamInput::Need(size_t count, bool* at_end) {
  *at_end = false;
  while (end_ - begin_ < count && !*at_end) {
    const size_t before = end_ - begin_;
    if (Status status = Fill(); !status.ok()) return status;
    *at_end = end_ - begin_ == before;
  }
  return Status::Ok();
}

Status StreamInput::Read(std::span<std::byte> into, size_t* count) {
  *count = 0;
  if (buffered().empty() && into.size() >= kDirectRead) {
    Status status = ReadSome(syscalls_, fd_, cancellation_, into, count);
    status.offset = position_;
    position_ += *count;
    return status;
  }
  bool at_end = false;
  if (Status status = Need(1, &at_end); !status.ok()) return status;
  *count = std::min(buffered().size(), into.size());
  if (*count > 0) std::memcpy(into.data(), buffered().data(), *count);
  Take(*count);
  return Status::Ok();
}

std::vector<std::byte> StreamInput::SwitchTo(int fd) {
  const auto rest = buffered();
  std::vector<std::byte> left(rest.begin(), rest.end());
  begin_ = end_ = 0;
  fd_ = fd;
  return left;
}

}  // namespace lvmsync
