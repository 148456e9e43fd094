// measured REPORT COMMAND [ARGUMENT]...
//
// Runs the command and writes one line to the file REPORT: seconds on the clock, processor seconds
// of it and all its descendants that were waited for (user, system), and the greatest peak memory
// of any one of them in KiB. Ends as the command ended. Small, since a child's peak begins with its
// parent's.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace {

double Now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

int main(int count, char** words) {
  if (count < 3) {
    std::fprintf(stderr, "usage: measured REPORT COMMAND [ARGUMENT]...\n");
    return EXIT_FAILURE;
  }
  const double begin = Now();
  const pid_t child = ::vfork();
  if (child == 0) {
    ::execvp(words[2], words + 2);
    ::_exit(127);
  }
  int status = 0;
  rusage usage{};
  if (child < 0 || ::wait4(child, &status, 0, &usage) != child) {
    std::perror("measured");
    return EXIT_FAILURE;
  }
  const double taken = Now() - begin;
  std::FILE* report = std::fopen(words[1], "we");
  if (report == nullptr) {
    std::perror(words[1]);
    return EXIT_FAILURE;
  }
  std::fprintf(report, "%.6f %.6f %.6f %ld\n", taken, Seconds(usage.ru_utime),
               Seconds(usage.ru_stime), usage.ru_maxrss);
  std::fclose(report);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
