// Walks the chain of areas of an exception store from its first entry to its last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/base/little_endian.h"
#include "core/base/result.h"
#include "core/store/store_geometry.h"
#include "core/store/store_reader.h"

namespace lvmsync {

// Consecutive entries of one area, as they are on disk. Does not own `bytes`.
struct EntrySpan {
  uint64_t area = 0;
  uint64_t first_entry = 0;  // index in the area
  uint64_t offset = 0;       // byte in the store where the first entry is
  std::span<const std::byte> bytes;

  size_t count() const { return bytes.size() / kEntryBytes; }
  uint64_t old_chunk(size_t i) const { return load_le64(bytes.data() + i * kEntryBytes); }
  uint64_t new_chunk(size_t i) const { return load_le64(bytes.data() + i * kEntryBytes + 8); }
  EntrySpan first(size_t n) const {
    return {area, first_entry, offset, bytes.first(n * kEntryBytes)};
  }
  // Fault::kCorrupt at entry `i`; `what` is the rest of "area 1, entry 2: ...".
  Status Corrupt(size_t i, const std::string& what) const;
};

class EntryVisitor {
 public:
  virtual ~EntryVisitor() = default;
  // Sees entries in the order of the store, none after the end of the list. A failure ends the
  // walk.
  virtual Status Visit(const EntrySpan& entries) = 0;
};

// Counts the entries of the list in `exceptions`, once the end was seen. Fails if the list does not
// end inside the store, if anything follows its end in what was read of the last area (all of it up
// to 1 MiB), and where the visitor or the reader fails.
Status WalkExceptions(StoreReader& reader, const StoreGeometry& geometry,
                      const DecodeLimits& limits, EntryVisitor& visitor, uint64_t* exceptions);

}  // namespace lvmsync
