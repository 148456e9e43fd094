// A page-aligned, zero-filled stretch of memory that carries the payloads of one batch.
#pragma once

#include <cstddef>
#include <span>
#include <utility>

namespace lvmsync {

// Move-only owner of an anonymous mapping. Pages are touched, and so counted, only when used.
class Slab {
 public:
  Slab() = default;
  // An empty slab (size 0) if the system has no memory for it.
  static Slab Allocate(size_t size);
  Slab(Slab&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Slab& operator=(Slab&& other) noexcept;
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab();

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  std::span<std::byte> bytes() const { return {data_, size_}; }

 private:
  Slab(std::byte* data, size_t size) : data_(data), size_(size) {}
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace lvmsync
