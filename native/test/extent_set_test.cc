// ExtentSet against a model that keeps one flag per byte.
#include "extent_set.h"

#include <algorithm>
#include <random>

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

  size_t ranges() const {
    size_t count = 0;
    for (size_t i = 0; i < flags_.size(); i++) count += flags_[i] && (i == 0 || !flags_[i - 1]);
    return count;
  }

 private:
  std::vector<bool> flags_ = std::vector<bool>(2 * kSpan);
};

void AgreesWithAModel() {
  std::mt19937_64 random(testing::Seed());
  for (int round = 0; round < 3000; round++) {
    ExtentSet set;
    Model model;
    const uint64_t longest = 1 + random() % 30;
    const size_t steps = random() % 40;
    for (size_t step = 0; step < steps; step++) {
      const Extent extent{random() % kSpan, random() % (longest + 1)};
      const std::string what = "round " + std::to_string(round) + ", " +
                               std::to_string(extent.offset) + "+" + std::to_string(extent.length);
      if (extent.length > 0) {
        ExpectEqual(set.Overlaps(extent), model.Overlaps(extent), what + ": overlaps");
      }
      Expect(set.Add(extent) == model.Add(extent), what + ": what was not in it");
      ExpectEqual(set.size(), model.ranges(), what + ": ranges");
    }
  }
}

void MergesNeighbours() {
  ExtentSet set;
  for (uint64_t i = 0; i < 100000; i++) set.Add({i * 4096, 4096});
  ExpectEqual<size_t>(set.size(), 1, "ranges of a stream without gaps");
  Expect(!set.Overlaps({100000 * 4096ULL, 1}), "the end is outside");
  Expect(set.Overlaps({100000 * 4096ULL - 1, 1}), "the byte before is inside");
}

const testing::Suite kSuite{
    {"a set of extents agrees with a flag for each byte", AgreesWithAModel},
    {"extents that touch take the place of one", MergesNeighbours},
};

}  // namespace
}  // namespace lvmsync
