// Tables and states of device-mapper's devices, asked of the kernel itself: what `dmsetup table`
// and `dmsetup status` print, without a process for each question. Nothing here changes a device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace lvmsync {

// Exactly one of them says which device is meant.
struct MappedSelector {
  std::string name;
  std::string uuid;
  uint64_t device = 0;  // as linux/kdev_t.h encodes it for user space, see EncodeDevice
};

uint64_t EncodeDevice(uint32_t major, uint32_t minor);

struct MappedTarget {
  uint64_t start = 0;   // sectors of 512 bytes
  uint64_t length = 0;  // the same
  std::string type;
  std::string words;  // as the target prints them
};

struct MappedDevice {
  std::string name;
  std::string uuid;
  uint32_t major = 0;
  uint32_t minor = 0;
  std::vector<MappedTarget> targets;
};

enum class MappedQuestion : uint8_t {
  kTable,
  kStatus,         // a thin pool commits what it holds in memory first
  kStatusNoFlush,  // as it is in memory
};

// Blocks for as long as the kernel needs. A failed system call is "open" or "ioctl"; ENXIO where
// there is no such device.
Status AskDeviceMapper(const MappedSelector& selector, MappedQuestion question,
                       MappedDevice* device);

// The kernel's answer to DM_TABLE_STATUS (linux/dm-ioctl.h), header included. Corrupt where it
// leads out of the bytes.
Status ParseMappedDevice(std::span<const std::byte> answer, MappedDevice* device);

}  // namespace lvmsync
