#include "core/base/slab.h"

#include <sys/mman.h>

namespace lvmsync {

Slab Slab::Allocate(size_t size) {
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return {};
  return Slab(static_cast<std::byte*>(memory), size);
}

Slab& Slab::operator=(Slab&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Slab::~Slab() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace lvmsync
