#include "testing.h"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <random>
#include <vector>

namespace lvmsync::testing {
namespace {

// A function's static, because suites of other files register before this file's statics exist.
std::vector<Case>& Cases() {
  static std::vector<Case> cases;
  return cases;
}

struct Tally {
  int passed = 0;
  int failed = 0;
  int skipped = 0;
};

void Run(const Case& test, Tally* tally) {
  try {
    test.body();
    tally->passed++;
    std::printf("ok    %s\n", test.title);
  } catch (const Skip& skip) {
    tally->skipped++;
    std::printf("skip  %s: %s\n", test.title, skip.reason.c_str());
  } catch (const std::exception& error) {
    tally->failed++;
    std::printf("FAIL  %s\n      %s\n", test.title, error.what());
  }
  std::fflush(stdout);
}

uint64_t ChooseSeed() {
  if (const char* text = std::getenv("LVMSYNC_TEST_SEED")) return std::strtoull(text, nullptr, 0);
  return std::random_device{}();
}

}  // namespace

Suite::Suite(std::initializer_list<Case> cases) {
  Cases().insert(Cases().end(), cases.begin(), cases.end());
}

void Expect(bool condition, const std::string& what, Location where) {
  if (condition) return;
  throw Failure(std::string(where.file) + ":" + std::to_string(where.line) + ": " + what);
}

void ExpectContains(const std::string& text, const std::string& fragment, Location where) {
  Expect(text.find(fragment) != std::string::npos,
         "expected \"" + fragment + "\" in \"" + text + "\"", where);
}

uint64_t Seed() {
  static const uint64_t seed = ChooseSeed();
  return seed;
}

static int RunAll() {
  std::printf("seed  LVMSYNC_TEST_SEED=%llu\n", static_cast<unsigned long long>(Seed()));
  Tally tally;
  for (const Case& test : Cases()) Run(test, &tally);
  std::printf("%d passed, %d failed, %d skipped\n", tally.passed, tally.failed, tally.skipped);
  return tally.failed == 0 && tally.passed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace lvmsync::testing

int main() { return lvmsync::testing::RunAll(); }
