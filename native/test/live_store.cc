#include "live_store.h"

#include <algorithm>

namespace lvmsync {

LiveStore::LiveStore(const ImageSpec& spec, uint64_t begun, std::mt19937_64& random)
    : random_(random),
      store_((ChunksNeeded(spec.chunk_size, spec.exceptions) + spec.spare_chunks) * spec.chunk_size,
             random() | 1),
      old_chunks_(MakeOldChunks(spec.exceptions, spec.origin_chunks, random)),
      builder_(spec.chunk_size, [this](uint64_t offset, std::span<const std::byte> bytes) {
        Queue(offset, bytes);
      }) {
  while (builder_.exceptions() < begun) {
    BeginCommit();
    FinishWrites();
  }
  FinishWrites();
}

Status LiveStore::Read(std::span<const Extent> extents, std::span<std::byte> into) {
  // What is there before the read says which areas the contract covers; then sector by sector.
  if (Status status = store_.Read(extents, into); !status.ok()) return status;
  size_t position = 0;
  for (const Extent& extent : extents) {
    for (uint64_t done = 0; done < extent.length; done += kSectorBytes) {
      Progress();
      store_.Peek(extent.offset + done, into.subspan(position, kSectorBytes));
      position += kSectorBytes;
    }
  }
  return Status::Ok();
}

void LiveStore::Queue(uint64_t offset, std::span<const std::byte> bytes) {
  std::vector<Sector> sectors;
  for (size_t i = 0; i < bytes.size(); i += kSectorBytes) {
    const auto sector = bytes.subspan(i, kSectorBytes);
    sectors.push_back({offset + i, {sector.begin(), sector.end()}});
  }
  std::shuffle(sectors.begin(), sectors.end(), random_);
  writes_.push_back(std::move(sectors));
}

void LiveStore::Progress() {
  if (Below(random_, 2) == 0) return;
  if (writes_.empty()) BeginCommit();
  if (writes_.empty()) return;
  std::vector<Sector>& sectors = writes_.front();
  store_.Write(sectors.back().offset, sectors.back().bytes);
  sectors.pop_back();
  if (sectors.empty()) writes_.pop_front();
}

// The kernel writes an area for a handful of exceptions at a time, and always when it is full.
void LiveStore::BeginCommit() {
  const uint64_t area = builder_.areas();
  for (uint64_t left = 1 + Below(random_, 40); left > 0; left--) {
    if (builder_.exceptions() == old_chunks_.size()) break;
    builder_.Commit(old_chunks_[builder_.exceptions()], builder_.Prepare());
    if (builder_.areas() > area) return;
    if (left == 1 || builder_.exceptions() == old_chunks_.size()) builder_.Flush();
  }
}

void LiveStore::FinishWrites() {
  for (; !writes_.empty(); writes_.pop_front()) {
    for (const Sector& sector : writes_.front()) store_.Write(sector.offset, sector.bytes);
  }
}

}  // namespace lvmsync
