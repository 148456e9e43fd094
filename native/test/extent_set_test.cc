// ExtentSet against a model that keeps one flag per byte, or per page.
#include "core/stream/extent_set.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "testing.h"

namespace lvmsync {
namespace {

using testing::Expect;
using testing::ExpectEqual;

constexpr uint64_t kSpan = 200;

class Model {
 public:
  ExtentList Add(const Extent& extent) {
    ExtentList fresh;
    for (uint64_t at = extent.offset; at < extent.offset + extent.length; at++) {
      if (flags_[at]) continue;
      flags_[at] = true;
      if (!fresh.empty() && fresh.back().offset + fresh.back().length == at) {
        fresh.back().length++;
      } else {
        fresh.push_back({at, 1});
      }
    }
    return fresh;
  }

  bool Overlaps(const Extent& extent) const {
    const auto begin = flags_.begin() + static_cast<std::ptrdiff_t>(extent.offset);
    const auto end = begin + static_cast<std::ptrdiff_t>(extent.length);
    return std::find(begin, end, true) != end;
  }

 private:
  std::vector<bool> flags_ = std::vector<bool>(2 * kSpan);
};

void AgreesWithAModel() {
  std::mt19937_64 random(testing::Seed());
  for (int round = 0; round < 3000; round++) {
    ExtentSet set;
    Model model;
    // Odd ends only, or whole pages among them.
    const uint64_t unit = round % 2 == 0 ? 1 : 1024;
    const uint64_t longest = 1 + random() % 30;
    const size_t steps = random() % 40;
    for (size_t step = 0; step < steps; step++) {
      const Extent place{random() % kSpan, random() % (longest + 1)};
      const Extent extent{place.offset * unit, place.length * unit};
      const std::string what = "round " + std::to_string(round) + ", " +
                               std::to_string(extent.offset) + "+" + std::to_string(extent.length);
      if (extent.length > 0) {
        ExpectEqual(set.Overlaps(extent), model.Overlaps(place), what + ": overlaps");
      }
      ExtentList fresh = model.Add(place);
      for (Extent& part : fresh) part = {part.offset * unit, part.length * unit};
      Expect(set.Add(extent) == fresh, what + ": what was not in it");
    }
  }
}

void ScatteredPagesAgreeWithAModel() {
  std::mt19937_64 random(testing::Seed());
  // Pages in four areas; more and more of them, so that lists become bitmaps.
  constexpr uint64_t kPages = 4 * 65536;
  constexpr uint64_t kPage = 4096;
  ExtentSet set;
  std::vector<bool> flags(kPages);
  for (int step = 0; step < 60000; step++) {
    const uint64_t first = random() % kPages;
    const uint64_t count = std::min(1 + random() % (step % 100 == 0 ? 3000 : 3), kPages - first);
    ExtentList expected;
    for (uint64_t page = first; page < first + count; page++) {
      if (flags[page]) continue;
      flags[page] = true;
      if (!expected.empty() && expected.back().offset + expected.back().length == page * kPage) {
        expected.back().length += kPage;
      } else {
        expected.push_back({page * kPage, kPage});
      }
    }
    const Extent extent{first * kPage, count * kPage};
    const std::string what = "step " + std::to_string(step);
    const bool overlaps = expected.size() != 1 || expected[0].length != extent.length;
    ExpectEqual(set.Overlaps(extent), overlaps, what + ": overlaps");
    Expect(set.Add(extent) == expected, what + ": what was not in it");
  }
}

void StaysSmallWhereNothingIsOdd() {
  ExtentSet set;
  for (uint64_t i = 0; i < 3 * ExtentSet::kMostOddEnds; i++) set.Insert({i * 8192, 4096});
  Expect(!set.crowded(), "whole pages do not crowd it");
  for (uint64_t i = 0; i < 3 * ExtentSet::kMostOddEnds; i++) set.Insert({i * 512, 512});
  Expect(!set.crowded(), "nor do small ranges that touch");
}

void SaysWhenItIsCrowded() {
  ExtentSet set;
  for (uint64_t i = 0; i < ExtentSet::kMostOddEnds; i++) set.Insert({i * 2, 1});
  Expect(!set.crowded(), "as many as there is room for");
  set.Insert({ExtentSet::kMostOddEnds * 2, 1});
  Expect(set.crowded(), "one more");
}

void KnowsItsEdges() {
  ExtentSet set;
  for (uint64_t i = 0; i < 100000; i++) set.Add({i * 4096, 4096});
  Expect(!set.Overlaps({100000 * 4096ULL, 1}), "the end is outside");
  Expect(set.Overlaps({100000 * 4096ULL - 1, 1}), "the byte before is inside");
}

const testing::Suite kSuite{
    {"a set of extents agrees with a flag for each byte", AgreesWithAModel},
    {"pages all over a device agree with a flag for each", ScatteredPagesAgreeWithAModel},
    {"whole pages, and small ranges that touch, need no bound", StaysSmallWhereNothingIsOdd},
    {"F37: scattered ranges smaller than a page have a bound", SaysWhenItIsCrowded},
    {"the end of a long run is where it is", KnowsItsEdges},
};

}  // namespace
}  // namespace lvmsync
