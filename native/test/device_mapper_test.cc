// Answers of device-mapper taken apart, and answers that lead out of their bytes.
#include "core/system/device_mapper.h"

#include <linux/dm-ioctl.h>

#include <cstring>

#include "testing.h"

namespace lvmsync {
namespace {

using testing::Expect;

using Bytes = std::vector<std::byte>;

struct Line {
  uint64_t start;
  uint64_t length;
  const char* type;
  const char* words;
};

// As the kernel writes it: each target's `next` counts from the first one.
Bytes Answer(const std::vector<Line>& lines, uint64_t dev) {
  Bytes answer(sizeof(dm_ioctl));
  for (const Line& line : lines) {
    dm_target_spec target{};
    target.sector_start = line.start;
    target.length = line.length;
    std::strncpy(target.target_type, line.type, sizeof(target.target_type) - 1);
    const size_t at = answer.size();
    answer.resize(at + sizeof(target));
    const auto* words = reinterpret_cast<const std::byte*>(line.words);
    answer.insert(answer.end(), words, words + std::strlen(line.words) + 1);
    while (answer.size() % 8 != 0) answer.push_back(std::byte{0});
    target.next = static_cast<uint32_t>(answer.size() - sizeof(dm_ioctl));
    std::memcpy(answer.data() + at, &target, sizeof(target));
  }
  dm_ioctl header{};
  header.data_start = sizeof(dm_ioctl);
  header.target_count = static_cast<uint32_t>(lines.size());
  header.dev = dev;
  std::strcpy(header.name, "vg0-data");
  std::strcpy(header.uuid, "LVM-0123");
  std::memcpy(answer.data(), &header, sizeof(header));
  return answer;
}

const std::vector<Line> kLines = {{0, 8192, "linear", "7:0 2048"}, {8192, 16, "error", ""}};

void TakesAnAnswerApart() {
  MappedDevice device;
  Expect(ParseMappedDevice(Answer(kLines, EncodeDevice(253, 300)), &device).ok(), "it is whole");
  Expect(device.name == "vg0-data" && device.uuid == "LVM-0123", "the names");
  Expect(device.major == 253 && device.minor == 300, "the numbers");
  Expect(device.targets.size() == 2, "the targets");
  Expect(device.targets[0].type == "linear" && device.targets[0].words == "7:0 2048", "the first");
  Expect(device.targets[1].start == 8192 && device.targets[1].words.empty(), "the second");
}

void RefusesWhatLeadsOut() {
  const Bytes whole = Answer(kLines, 0);
  // The second target has no words: a zero byte, filled up to eight.
  const size_t needed = whole.size() - 8;
  for (size_t size = 0; size < whole.size(); size++) {
    MappedDevice device;
    const Bytes part(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
    const Status status = ParseMappedDevice(part, &device);
    Expect(status.ok() == (size >= needed), "an answer is whole or refused");
  }
  for (size_t at = 0; at < whole.size(); at++) {
    Bytes damaged = whole;
    damaged[at] ^= std::byte{0xff};
    MappedDevice device;
    // Whatever it says: nothing outside of it is read, which the sanitizer sees.
    static_cast<void>(ParseMappedDevice(damaged, &device));
  }
}

const testing::Suite kSuite{
    {"takes an answer apart", TakesAnAnswerApart},
    {"refuses what leads out of its bytes", RefusesWhatLeadsOut},
};

}  // namespace
}  // namespace lvmsync
