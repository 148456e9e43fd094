// CRC-32C (Castagnoli), as iSCSI and ext4 use it: guards control frames.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace lvmsync {

// The checksum of `bytes`; crc32c of "123456789" is 0xe3069283.
uint32_t Crc32c(std::span<const std::byte> bytes);

}  // namespace lvmsync
