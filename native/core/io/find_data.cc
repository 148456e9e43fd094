#include "core/io/find_data.h"

#include <algorithm>
#include <cstring>

namespace lvmsync {
namespace {

constexpr uint64_t kPage = 4096;

bool IsZeros(std::span<const std::byte> bytes) {
  return bytes.front() == std::byte{0} &&
         std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

// Goes through the units in order, as many bytes of them at a time as fit into the slab.
class Search {
 public:
  Search(std::span<const Extent> extents, uint64_t unit, ExtentList* data)
      : extents_(extents), unit_(unit), data_(data) {}

  Status Run(const Syscalls& syscalls, IoEngine& engine, const BlockFile& file,
             std::span<std::byte> slab) {
    while (Plan(slab.size())) {
      Status status = RunBatch(syscalls, engine, file, Direction::kRead, slab, operations_);
      if (!status.ok()) return status;
      for (size_t i = 0; i < operations_.size(); i++) Judge(operations_[i], units_[i], slab);
    }
    return Status::Ok();
  }

 private:
  // False where nothing is left.
  bool Plan(uint64_t room) {
    operations_.clear();
    units_.clear();
    uint64_t position = 0;
    while (current_ < extents_.size()) {
      const Extent& extent = extents_[current_];
      const uint64_t end = extent.offset + extent.length;
      const uint64_t from = extent.offset + done_;
      if (from >= end) {
        current_++;
        done_ = 0;
        continue;
      }
      const Extent whole = UnitAt(extent, from);
      const uint64_t unit_end = whole.offset + whole.length;
      if (IsFound(whole)) {
        done_ = unit_end - extent.offset;
        continue;
      }
      position += (from - position) % kPage;
      if (position + kPage > room) break;
      const uint64_t length = std::min(unit_end - from, room - position);
      operations_.push_back({from, length, position});
      units_.push_back(whole);
      position += length;
      done_ += length;
    }
    return !operations_.empty();
  }

  Extent UnitAt(const Extent& extent, uint64_t from) const {
    if (unit_ == 0) return extent;
    const uint64_t start = std::max(extent.offset, from / unit_ * unit_);
    const uint64_t end = std::min(extent.offset + extent.length, (from / unit_ + 1) * unit_);
    return {start, end - start};
  }

  bool IsFound(const Extent& unit) const {
    return !data_->empty() &&
           data_->back().offset + data_->back().length >= unit.offset + unit.length;
  }

  void Judge(const Operation& operation, const Extent& unit, std::span<const std::byte> slab) {
    if (IsFound(unit)) return;
    const auto bytes = slab.subspan(static_cast<size_t>(operation.slab_position),
                                    static_cast<size_t>(operation.length));
    if (IsZeros(bytes)) return;
    if (!data_->empty() && data_->back().offset + data_->back().length == unit.offset) {
      data_->back().length += unit.length;
    } else {
      data_->push_back(unit);
    }
  }

  std::span<const Extent> extents_;
  uint64_t unit_;
  ExtentList* data_;
  size_t current_ = 0;
  uint64_t done_ = 0;  // bytes of the current extent
  std::vector<Operation> operations_;
  std::vector<Extent> units_;  // to which the operations belong
};

}  // namespace

Status FindData(const Syscalls& syscalls, IoEngine& engine, const BlockFile& file,
                std::span<std::byte> slab, std::span<const Extent> extents, uint64_t unit,
                ExtentList* data) {
  return Search(extents, unit, data).Run(syscalls, engine, file, slab);
}

}  // namespace lvmsync
