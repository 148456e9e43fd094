#include "core/store/exception_check.h"

#include <algorithm>
#include <array>
#include <string>

namespace lvmsync {
namespace {

// Entries that are checked before they are added to a set together.
constexpr size_t kStretch = 1024;

uint64_t ChunksOf(uint64_t size, uint64_t chunk_size) {
  return size / chunk_size + (size % chunk_size != 0 ? 1 : 0);
}

// Calls check(first, chunks) for stretches of the entries; it fills `chunks`, which are then added.
template <typename Check>
Status AddStretches(const EntrySpan& entries, ChunkSet& set, std::optional<uint64_t>* repeat,
                    Check check) {
  std::array<uint64_t, kStretch> memory;
  for (size_t first = 0; first < entries.count(); first += kStretch) {
    const std::span<uint64_t> chunks(memory.data(), std::min(kStretch, entries.count() - first));
    if (Status status = check(first, chunks); !status.ok()) return status;
    *repeat = set.Add(chunks);
    if (repeat->has_value()) return entries.Corrupt(first, "a chunk is named twice, here or later");
  }
  return Status::Ok();
}

}  // namespace

DataChunks::DataChunks(const StoreGeometry& geometry)
    : chunks_(geometry.chunks()), stride_(geometry.stride()) {}

bool DataChunks::Find(uint64_t chunk) {
  if (chunk < kHeaderChunks || chunk >= chunks_) return false;
  const uint64_t within = (chunk - kHeaderChunks) % stride_;
  if (within == 0) return false;
  first_ = chunk - within + 1;
  count_ = std::min(stride_ - 1, chunks_ - first_);
  return true;
}

std::string DataChunks::Explain(uint64_t chunk) const {
  const std::string subject = "new_chunk " + std::to_string(chunk);
  if (chunk >= chunks_) {
    return subject + " is not below the " + std::to_string(chunks_) + " chunks of the store";
  }
  return subject + " is the place of area " + std::to_string((chunk - kHeaderChunks) / stride_);
}

OldChunkCollector::OldChunkCollector(const StoreGeometry& geometry, uint64_t origin_size)
    : origin_chunks_(ChunksOf(origin_size, geometry.chunk_size)),
      data_chunks_(geometry),
      old_chunks_(origin_chunks_) {}

Status OldChunkCollector::Visit(const EntrySpan& entries) {
  return AddStretches(entries, old_chunks_, &repeat_,
                      [&](size_t first, std::span<uint64_t> old_chunks) {
                        return CheckEntries(entries, first, old_chunks);
                      });
}

// Checks entries from `first` on and stores what they name in the origin.
Status OldChunkCollector::CheckEntries(const EntrySpan& entries, size_t first,
                                       std::span<uint64_t> old_chunks) {
  for (size_t i = 0; i < old_chunks.size(); i++) {
    const uint64_t old_chunk = entries.old_chunk(first + i);
    const uint64_t new_chunk = entries.new_chunk(first + i);
    if (!data_chunks_.Contains(new_chunk)) {
      return entries.Corrupt(first + i, data_chunks_.Explain(new_chunk));
    }
    if (old_chunk >= origin_chunks_) {
      return entries.Corrupt(first + i, "old_chunk " + std::to_string(old_chunk) +
                                            " is not below the " + std::to_string(origin_chunks_) +
                                            " chunks of the origin");
    }
    new_chunks_ascend_ = new_chunks_ascend_ && new_chunk > last_new_chunk_;
    last_new_chunk_ = new_chunk;
    old_chunks[i] = old_chunk;
  }
  return Status::Ok();
}

NewChunkCollector::NewChunkCollector(const StoreGeometry& geometry)
    : data_chunks_(geometry), new_chunks_(geometry.chunks()) {}

Status NewChunkCollector::Visit(const EntrySpan& entries) {
  return AddStretches(entries, new_chunks_, &repeat_,
                      [&](size_t first, std::span<uint64_t> new_chunks) {
                        for (size_t i = 0; i < new_chunks.size(); i++) {
                          new_chunks[i] = entries.new_chunk(first + i);
                          // Seen to be right in an earlier walk, but a device may answer
                          // differently now.
                          if (!data_chunks_.Contains(new_chunks[i])) {
                            return entries.Corrupt(first + i, data_chunks_.Explain(new_chunks[i]));
                          }
                        }
                        return Status::Ok();
                      });
}

Status RepeatFinder::Visit(const EntrySpan& entries) {
  for (size_t i = 0; i < entries.count(); i++) {
    const bool old = field_ == EntryField::kOldChunk;
    if ((old ? entries.old_chunk(i) : entries.new_chunk(i)) != value_) continue;
    if (seen_) {
      return entries.Corrupt(i, std::string(old ? "old_chunk " : "new_chunk ") +
                                    std::to_string(value_) + " is in an earlier entry too");
    }
    seen_ = true;
  }
  return Status::Ok();
}

}  // namespace lvmsync
