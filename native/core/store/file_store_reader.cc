#include "core/store/file_store_reader.h"

#include <vector>

#include "core/io/batch.h"

namespace lvmsync {

Status FileStoreReader::Read(std::span<const Extent> extents, std::span<std::byte> into) {
  std::vector<Operation> operations;
  operations.reserve(extents.size());
  uint64_t position = 0;
  for (const Extent& extent : extents) {
    operations.push_back({extent.offset, extent.length, position});
    position += extent.length;
  }
  return RunBatch(syscalls_, engine_, file_, Direction::kRead, into, operations);
}

}  // namespace lvmsync
