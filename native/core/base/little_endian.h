// On-disk integers, loaded without assuming alignment or the machine's byte order.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace lvmsync {

inline uint32_t load_le32(const void* at) {
  uint32_t value;
  std::memcpy(&value, at, sizeof value);
  return std::endian::native == std::endian::little ? value : __builtin_bswap32(value);
}

inline uint64_t load_le64(const void* at) {
  uint64_t value;
  std::memcpy(&value, at, sizeof value);
  return std::endian::native == std::endian::little ? value : __builtin_bswap64(value);
}

}  // namespace lvmsync
