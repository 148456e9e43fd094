// XXH3-128, computed where the bytes already pass. It is a checksum, not an authentication.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace lvmsync {

// 128 bits in canonical (big endian) order.
using Digest = std::array<uint8_t, 16>;

// The hash of bytes that come one after the other.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  // Begins anew.
  void Reset();
  void Update(std::span<const std::byte> bytes);
  // The hash of all bytes since the last Reset; more may follow.
  Digest Finish() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The hash of one stretch of bytes, by itself.
Digest HashOf(std::span<const std::byte> bytes);

}  // namespace lvmsync
