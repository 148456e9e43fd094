// throttled RATE
//
// Copies standard input to standard output at RATE bytes a second: a link of that speed. It holds
// no more than a 100th of a second's bytes, as a link does, so that writers wait as they would for
// one.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kCaughtUp{10};

bool WriteAll(const char* from, size_t left) {
  while (left > 0) {
    const ssize_t count = ::write(STDOUT_FILENO, from, left);
    if (count < 0 && errno != EINTR) return false;
    if (count < 0) continue;
    from += count;
    left -= static_cast<size_t>(count);
  }
  return true;
}

// Whether the input ended and all of it was written.
bool Copy(double rate) {
  std::vector<char> buffer(static_cast<size_t>(std::max(4096.0, rate / 100)));
  Clock::time_point due = Clock::now();
  while (true) {
    const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return count == 0;
    // Longer times when nothing came are lost: a link does not save up. Sleeping too long is caught
    // up.
    due = std::max(due, Clock::now() - kCaughtUp);
    due += std::chrono::duration_cast<Clock::duration>(
        std::chrono::duration<double>(static_cast<double>(count) / rate));
    std::this_thread::sleep_until(due);
    if (!WriteAll(buffer.data(), static_cast<size_t>(count))) return false;
  }
}

}  // namespace

int main(int count, char** words) {
  const double rate = count == 2 ? std::atof(words[1]) : 0;
  if (rate <= 0) {
    std::fprintf(stderr, "usage: throttled RATE\n");
    return EXIT_FAILURE;
  }
  if (!Copy(rate)) {
    std::perror("throttled");
    return EXIT_FAILURE;
  }
}
