// XXH32, as LZ4 frames use it to guard headers, blocks and content.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace lvmsync {

// Sums bytes as they come; seed 0.
class Xxh32 {
 public:
  Xxh32();
  ~Xxh32();
  Xxh32(const Xxh32&) = delete;
  Xxh32& operator=(const Xxh32&) = delete;

  void Update(std::span<const std::byte> bytes);
  // The hash of all bytes so far; more may follow.
  uint32_t Sum() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lvmsync
