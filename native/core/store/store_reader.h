// The needs of decoding an exception store: its bytes, and what is known about them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/extent.h"
#include "core/base/result.h"

namespace lvmsync {

// Where the decoder gets bytes from: a COW device in production, memory in tests.
class StoreReader {
 public:
  virtual ~StoreReader() = default;
  // Size of the COW store in bytes.
  virtual uint64_t size() const = 0;
  // Reads each extent, whole, one after the other into `into`, whose size is the sum of their
  // lengths (at most 5 MiB) and whose start is aligned to a page. Every extent lies within size(),
  // begins on a multiple of alignment() and ends on one, or at size().
  virtual Status Read(std::span<const Extent> extents, std::span<std::byte> into) = 0;
  // The unit of Read in bytes, a power of two of at most 64 KiB.
  virtual uint32_t alignment() const = 0;
  // The logical block size of the device in bytes: a chunk is a multiple of it.
  virtual uint32_t logical_block() const { return 512; }
};

struct DecodeLimits {
  uint64_t origin_size = 0;  // bytes; extents are clipped to it, whole chunks beyond it are corrupt
  // Areas known to be complete on disk before reading began (from `dmsetup status`): those may be
  // read ahead in parallel. Beyond them an area is trusted only if read after its predecessor was
  // seen to be full, because the kernel zeroes just one area ahead. An upper bound of what is read
  // ahead, not a claim about the list: UINT64_MAX is right for a store that nobody writes to.
  uint64_t areas_known = 0;
  // A read that meets the kernel writing an area may see some sectors new and some old. How often
  // an area that looks so is read again, after a pause of 1, 2, 4 ... 512 ms, before it counts as
  // damaged. 0 is right for a store that nobody writes to.
  uint32_t torn_retries = 0;
};

}  // namespace lvmsync
