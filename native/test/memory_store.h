// A COW device in memory, sparse so that it may be of any size.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "core/store/store_reader.h"

namespace lvmsync {

// Where nothing was written, reads give garbage, as the space of an earlier volume would. Read
// throws std::logic_error where a caller breaks the contract of StoreReader.
class MemoryStore : public StoreReader {
 public:
  MemoryStore(uint64_t size, uint64_t garbage) : size_(size), garbage_(garbage) {}

  uint64_t size() const override { return size_; }
  uint32_t alignment() const override { return alignment_; }
  uint32_t logical_block() const override { return logical_block_; }
  Status Read(std::span<const Extent> extents, std::span<std::byte> into) override;

  // Bytes that Read has given so far.
  uint64_t bytes_read() const { return bytes_read_; }

  void set_size(uint64_t size) { size_ = size; }
  void set_alignment(uint32_t alignment) { alignment_ = alignment; }
  void set_logical_block(uint32_t bytes) { logical_block_ = bytes; }
  void Write(uint64_t offset, std::span<const std::byte> bytes);
  void WriteU32(uint64_t offset, uint32_t value);
  void WriteU64(uint64_t offset, uint64_t value);
  // Without the contract of Read: any bytes of the store.
  void Peek(uint64_t offset, std::span<std::byte> into) const;
  uint64_t PeekU64(uint64_t offset) const;

 private:
  static constexpr uint64_t kBlock = 4096;
  void FillGarbage(uint64_t block, std::span<std::byte> into) const;

  uint64_t size_;
  uint64_t garbage_;  // a seed; 0 makes all garbage zeros
  uint32_t alignment_ = 4096;
  uint32_t logical_block_ = 512;
  uint64_t bytes_read_ = 0;
  std::map<uint64_t, std::vector<std::byte>> blocks_;
};

}  // namespace lvmsync
