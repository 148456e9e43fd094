// A changed stretch of a device.
#pragma once

#include <cstdint>
#include <vector>

namespace lvmsync {

// Bytes [offset, offset + length) of a device.
struct Extent {
  uint64_t offset = 0;
  uint64_t length = 0;
  bool operator==(const Extent&) const = default;
};

using ExtentList = std::vector<Extent>;

}  // namespace lvmsync
