// limit_copy copy    SOURCE DESTINATION EXTENTS
// limit_copy save    SOURCE DESTINATION EXTENTS FILE    also appends the former content to FILE
// first limit_copy read    SOURCE EXTENTS limit_copy write   DESTINATION EXTENTS zeros
//
// What a run is held against: one io_uring, O_DIRECT, and nothing else: no list to decode, no
// stream, no check, no order but what the job itself asks for. EXTENTS holds pairs of u64 in the
// machine's own order, offset and length in bytes, aligned to 4096. Flushes what was written, then
// prints the bytes.
#include <fcntl.h>
#include <liburing.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

namespace {

constexpr unsigned kDepth = 64;
constexpr uint64_t kLargest = uint64_t{1} << 20;

struct Extent {
  uint64_t offset;
  uint64_t length;
};

// One piece on its way: the steps it still has to take, and the memory it takes along.
struct Piece {
  Extent extent;
  uint64_t saved_at;
  std::byte* fresh;
  std::byte* former;
  int step;
};

struct Job {
  int source = -1;
  int destination = -1;
  int save = -1;
  std::vector<Extent> extents;
};

[[noreturn]] void Fail(const char* what, int error) {
  std::fprintf(stderr, "limit_copy: %s: %s\n", what, std::strerror(error));
  std::exit(EXIT_FAILURE);
}

int Open(const char* path, int flags) {
  const int fd = ::open(path, flags | O_CLOEXEC, 0600);
  if (fd < 0) Fail(path, errno);
  return fd;
}

std::vector<Extent> ReadExtents(const char* path) {
  const int fd = Open(path, O_RDONLY);
  struct stat info {};
  if (::fstat(fd, &info) != 0) Fail(path, errno);
  std::vector<Extent> extents(static_cast<size_t>(info.st_size) / sizeof(Extent));
  auto* into = reinterpret_cast<char*>(extents.data());
  size_t left = extents.size() * sizeof(Extent);
  while (left > 0) {
    const ssize_t count = ::read(fd, into, left);
    if (count <= 0) Fail(path, count < 0 ? errno : EIO);
    into += count;
    left -= static_cast<size_t>(count);
  }
  ::close(fd);
  return extents;
}

class Copy {
 public:
  explicit Copy(const Job& job) : job_(job), pieces_(kDepth) {
    if (const int error = -io_uring_queue_init(kDepth, &ring_, 0); error != 0) {
      Fail("io_uring_queue_init", error);
    }
    const size_t size = 2 * kDepth * kLargest;
    void* memory =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) Fail("mmap", errno);
    auto* next = static_cast<std::byte*>(memory);
    for (Piece& piece : pieces_) {
      piece.fresh = next;
      piece.former = next + kLargest;
      next += 2 * kLargest;
      free_.push_back(&piece);
    }
  }

  uint64_t Run() {
    while (Begin() || free_.size() < pieces_.size()) {
      if (const int result = io_uring_submit_and_wait(&ring_, 1); result < 0 && result != -EINTR) {
        Fail("io_uring_submit_and_wait", -result);
      }
      Reap();
    }
    for (const int fd : {job_.save, job_.destination}) {
      if (fd >= 0 && ::fsync(fd) != 0) Fail("fsync", errno);
    }
    return done_;
  }

 private:
  // Starts pieces while there is room; whether any could be started.
  bool Begin() {
    bool begun = false;
    while (!free_.empty() && index_ < job_.extents.size()) {
      const Extent& extent = job_.extents[index_];
      Piece* piece = free_.back();
      free_.pop_back();
      piece->extent = {extent.offset + taken_, std::min(extent.length - taken_, kLargest)};
      piece->step = 0;
      taken_ += piece->extent.length;
      if (taken_ == extent.length) {
        index_++;
        taken_ = 0;
      }
      Advance(piece);
      begun = true;
    }
    return begun;
  }

  // Read the new bytes; read and append the old ones; write. Steps without a file are left out.
  void Advance(Piece* piece) {
    for (; piece->step < 4; piece->step++) {
      if (piece->step == 0 && job_.source >= 0) return Prepare(piece, job_.source, true);
      if (piece->step == 1 && job_.save >= 0) return Prepare(piece, job_.destination, true);
      if (piece->step == 2 && job_.save >= 0) {
        piece->saved_at = saved_;
        saved_ += piece->extent.length;
        return Prepare(piece, job_.save, false);
      }
      if (piece->step == 3 && job_.destination >= 0) {
        return Prepare(piece, job_.destination, false);
      }
    }
    done_ += piece->extent.length;
    free_.push_back(piece);
  }

  void Prepare(Piece* piece, int fd, bool reading) {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    if (entry == nullptr) Fail("io_uring_get_sqe", EBUSY);
    const bool former = piece->step == 1 || piece->step == 2;
    std::byte* memory = former ? piece->former : piece->fresh;
    const uint64_t offset = piece->step == 2 ? piece->saved_at : piece->extent.offset;
    const auto length = static_cast<unsigned>(piece->extent.length);
    if (reading) {
      io_uring_prep_read(entry, fd, memory, length, offset);
    } else {
      io_uring_prep_write(entry, fd, memory, length, offset);
    }
    io_uring_sqe_set_data(entry, piece);
  }

  void Reap() {
    io_uring_cqe* completion;
    unsigned head;
    unsigned seen = 0;
    io_uring_for_each_cqe(&ring_, head, completion) {
      auto* piece = static_cast<Piece*>(io_uring_cqe_get_data(completion));
      const int result = completion->res;
      seen++;
      if (result < 0) Fail("transfer", -result);
      if (static_cast<uint64_t>(result) != piece->extent.length) Fail("short transfer", EIO);
      piece->step++;
      Advance(piece);
    }
    io_uring_cq_advance(&ring_, seen);
  }

  const Job& job_;
  io_uring ring_{};
  std::vector<Piece> pieces_;
  std::vector<Piece*> free_;
  size_t index_ = 0;
  uint64_t taken_ = 0;  // of the extent at index_
  uint64_t saved_ = 0;
  uint64_t done_ = 0;
};

bool Parse(int count, char** words, Job* job) {
  const std::string_view kind = count > 1 ? words[1] : "";
  if (kind == "copy" && count == 5) {
    *job = {Open(words[2], O_RDONLY | O_DIRECT), Open(words[3], O_RDWR | O_DIRECT), -1,
            ReadExtents(words[4])};
  } else if (kind == "save" && count == 6) {
    *job = {Open(words[2], O_RDONLY | O_DIRECT), Open(words[3], O_RDWR | O_DIRECT),
            Open(words[5], O_WRONLY | O_CREAT | O_EXCL | O_DIRECT), ReadExtents(words[4])};
  } else if (kind == "read" && count == 4) {
    *job = {Open(words[2], O_RDONLY | O_DIRECT), -1, -1, ReadExtents(words[3])};
  } else if (kind == "write" && count == 4) {
    *job = {-1, Open(words[2], O_WRONLY | O_DIRECT), -1, ReadExtents(words[3])};
  } else {
    return false;
  }
  return true;
}

}  // namespace

int main(int count, char** words) {
  Job job;
  if (!Parse(count, words, &job)) {
    std::fprintf(stderr, "usage: see the head of bench/limit_copy.cc\n");
    return EXIT_FAILURE;
  }
  std::printf("%llu\n", static_cast<unsigned long long>(Copy(job).Run()));
}
