#include "core/stream/xxh32.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace lvmsync {

struct Xxh32::State {
  XXH32_state_t xxh32;
};

Xxh32::Xxh32() : state_(std::make_unique<State>()) { XXH32_reset(&state_->xxh32, 0); }

Xxh32::~Xxh32() = default;

void Xxh32::Update(std::span<const std::byte> bytes) {
  XXH32_update(&state_->xxh32, bytes.data(), bytes.size());
}

uint32_t Xxh32::Sum() const { return XXH32_digest(&state_->xxh32); }

}  // namespace lvmsync
