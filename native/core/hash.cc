#include "hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "big_endian.h"

namespace lvmsync {
namespace {

Digest Canonical(XXH128_hash_t hash) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  Digest digest;
  static_assert(sizeof canonical.digest == sizeof digest);
  std::memcpy(digest.data(), canonical.digest, sizeof digest);
  return digest;
}

}  // namespace

struct GroupHasher::State {
  State() { Reset(); }
  void Reset() { XXH3_128bits_reset(&xxh3); }
  void Update(const void* bytes, size_t length) { XXH3_128bits_update(&xxh3, bytes, length); }
  Digest Finish() const { return Canonical(XXH3_128bits_digest(&xxh3)); }

 private:
  XXH3_state_t xxh3;
};

GroupHasher::GroupHasher(const StreamId& stream_id)
    : stream_id_(stream_id), group_(std::make_unique<State>()), total_(std::make_unique<State>()) {
  Begin();
}

GroupHasher::~GroupHasher() = default;

void GroupHasher::Begin() {
  std::array<std::byte, 8> number;
  store_be64(number.data(), number_);
  group_->Reset();
  group_->Update(stream_id_.data(), stream_id_.size());
  group_->Update(number.data(), number.size());
}

void GroupHasher::Update(std::span<const std::byte> bytes) {
  group_->Update(bytes.data(), bytes.size());
}

Digest GroupHasher::EndGroup() {
  const Digest digest = group_->Finish();
  total_->Update(digest.data(), digest.size());
  number_++;
  Begin();
  return digest;
}

Digest GroupHasher::Total() const { return total_->Finish(); }

Digest HashOf(std::span<const std::byte> bytes) {
  return Canonical(XXH3_128bits(bytes.data(), bytes.size()));
}

}  // namespace lvmsync
