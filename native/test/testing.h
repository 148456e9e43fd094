// A test runner of one page: cases are registered at start-up, run in order and reported on stdout.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <sstream>
#include <stdexcept>
#include <string>

namespace lvmsync::testing {

// A title is a sentence of behaviour. The body fails by throwing, which the functions below do.
struct Case {
  const char* title;
  void (*body)();
};

// Define one per file: `const Suite kSuite{{"title", [] { ... }}, ...};`
class Suite {
 public:
  Suite(std::initializer_list<Case> cases);
};

// Thrown by a case that cannot run here; the reason is printed.
struct Skip {
  std::string reason;
};

class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The line that calls. As std::source_location, which clang 14 does not have with GCC's library.
struct Location {
  const char* file;
  int line;
  static constexpr Location Here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
};

void Expect(bool condition, const std::string& what, Location where = Location::Here());

template <typename T>
void ExpectEqual(const T& actual, const T& expected, const std::string& what,
                 Location where = Location::Here()) {
  if (actual == expected) return;
  std::ostringstream text;
  text << what << ": got " << actual << ", expected " << expected;
  Expect(false, text.str(), where);
}

void ExpectContains(const std::string& text, const std::string& fragment,
                    Location where = Location::Here());

// Where random tests begin: LVMSYNC_TEST_SEED if set, else different in each run. It is printed.
uint64_t Seed();

}  // namespace lvmsync::testing
