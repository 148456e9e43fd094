#include "memory_store.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "core/base/little_endian.h"

namespace lvmsync {
namespace {

constexpr uint64_t kMaxRead = uint64_t{5} << 20;

void Require(bool condition, const char* what) {
  if (!condition) throw std::logic_error(what);
}

// splitmix64: any input gives bits that look random.
uint64_t Mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
  value = (value ^ value >> 27) * 0x94d049bb133111eb;
  return value ^ value >> 31;
}

}  // namespace

Status MemoryStore::Read(std::span<const Extent> extents, std::span<std::byte> into) {
  Require(reinterpret_cast<uintptr_t>(into.data()) % 4096 == 0, "memory is not page-aligned");
  Require(into.size() <= kMaxRead, "a read of more than 5 MiB");
  size_t position = 0;
  for (const Extent& extent : extents) {
    Require(extent.length <= size_ && extent.offset <= size_ - extent.length, "outside the store");
    Require(extent.offset % alignment_ == 0, "unaligned begin");
    const uint64_t end = extent.offset + extent.length;
    Require(end % alignment_ == 0 || end == size_, "unaligned end");
    Require(extent.length <= into.size() - position, "extents longer than the memory");
    Peek(extent.offset, into.subspan(position, extent.length));
    position += extent.length;
  }
  Require(position == into.size(), "extents shorter than the memory");
  bytes_read_ += position;
  return Status::Ok();
}

void MemoryStore::Peek(uint64_t offset, std::span<std::byte> into) const {
  while (!into.empty()) {
    const uint64_t within = offset % kBlock;
    const size_t length = std::min<size_t>(kBlock - within, into.size());
    const auto block = blocks_.find(offset / kBlock);
    if (block != blocks_.end()) {
      std::memcpy(into.data(), block->second.data() + within, length);
    } else if (garbage_ == 0) {
      std::memset(into.data(), 0, length);
    } else {
      std::vector<std::byte> garbage(kBlock);
      FillGarbage(offset / kBlock, garbage);
      std::memcpy(into.data(), garbage.data() + within, length);
    }
    into = into.subspan(length);
    offset += length;
  }
}

uint64_t MemoryStore::PeekU64(uint64_t offset) const {
  std::byte bytes[sizeof(uint64_t)];
  Peek(offset, bytes);
  return load_le64(bytes);
}

void MemoryStore::Write(uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const uint64_t within = offset % kBlock;
    const size_t length = std::min<size_t>(kBlock - within, bytes.size());
    const auto [block, is_new] = blocks_.try_emplace(offset / kBlock, kBlock);
    if (is_new) FillGarbage(offset / kBlock, block->second);
    std::memcpy(block->second.data() + within, bytes.data(), length);
    bytes = bytes.subspan(length);
    offset += length;
  }
}

void MemoryStore::WriteU32(uint64_t offset, uint32_t value) {
  value = load_le32(&value);
  Write(offset, std::as_bytes(std::span(&value, 1)));
}

void MemoryStore::WriteU64(uint64_t offset, uint64_t value) {
  value = load_le64(&value);
  Write(offset, std::as_bytes(std::span(&value, 1)));
}

void MemoryStore::FillGarbage(uint64_t block, std::span<std::byte> into) const {
  if (garbage_ == 0) return;  // memory is zero already
  for (size_t i = 0; i < into.size(); i += sizeof(uint64_t)) {
    const uint64_t value = Mix(garbage_ ^ (block * kBlock + i));
    std::memcpy(into.data() + i, &value, sizeof value);
  }
}

}  // namespace lvmsync
