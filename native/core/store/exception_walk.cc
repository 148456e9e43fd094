#include "core/store/exception_walk.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "core/base/slab.h"

namespace lvmsync {
namespace {

constexpr uint64_t kPieceBytes = uint64_t{1} << 20;  // an area of more is read in pieces
constexpr uint64_t kBatchBytes = uint64_t{4}
                                 << 20;  // of one Read, unless a single piece needs more

// A stretch of an area, and where its bytes are in the slab.
struct Piece {
  uint64_t area = 0;
  uint64_t position = 0;  // bytes into the area
  uint64_t length = 0;    // bytes
  Extent read;            // the stretch, widened to the reader's alignment
  size_t slab_position = 0;
};

// Hands out the areas piece by piece. Whoever asks for the next piece says by it that all pieces
// before were full, which is what makes an area beyond `areas_known` worth reading.
class PieceReader {
 public:
  PieceReader(StoreReader& reader, const StoreGeometry& geometry, uint64_t areas_known)
      : reader_(reader), geometry_(geometry), areas_known_(areas_known) {}

  Status Open();
  Status Next(EntrySpan* entries);
  // Reads the piece that Next gave last once more.
  Status Again(EntrySpan* entries);

 private:
  Status ReadBatch();
  Piece PlanPiece(size_t slab_position) const;
  void Advance(const Piece& piece);
  EntrySpan Entries(const Piece& piece) const;

  StoreReader& reader_;
  const StoreGeometry geometry_;
  const uint64_t areas_known_;
  Slab slab_;
  std::vector<Piece> batch_;
  std::vector<Extent> extents_;
  size_t taken_ = 0;       // pieces of batch_ handed out
  uint64_t area_ = 0;      // what to plan next: this area,
  uint64_t position_ = 0;  // from this byte on
};

Status PieceReader::Open() {
  slab_ = Slab::Allocate(kBatchBytes + size_t{2} * reader_.alignment());
  return slab_.size() > 0 ? Status::Ok() : Status::System(ENOMEM, "mmap", 0);
}

Status PieceReader::Next(EntrySpan* entries) {
  if (taken_ == batch_.size()) {
    if (Status status = ReadBatch(); !status.ok()) return status;
  }
  *entries = Entries(batch_[taken_++]);
  return Status::Ok();
}

Status PieceReader::Again(EntrySpan* entries) {
  const Piece& piece = batch_[taken_ - 1];
  *entries = Entries(piece);
  return reader_.Read({&piece.read, 1},
                      slab_.bytes().subspan(piece.slab_position, piece.read.length));
}

Status PieceReader::ReadBatch() {
  if (area_ >= geometry_.areas()) {
    return Status::Corrupt(geometry_.size, "area " + std::to_string(area_) +
                                               ": the list continues beyond the end of the store");
  }
  batch_.clear();
  extents_.clear();
  taken_ = 0;
  size_t used = 0;
  const uint64_t trusted = std::min(std::max(areas_known_, area_ + 1), geometry_.areas());
  while (area_ < trusted) {
    const Piece piece = PlanPiece(used);
    if (!batch_.empty() && used + piece.read.length > kBatchBytes) break;
    batch_.push_back(piece);
    extents_.push_back(piece.read);
    used += piece.read.length;
    Advance(piece);
  }
  return reader_.Read(extents_, slab_.bytes().first(used));
}

Piece PieceReader::PlanPiece(size_t slab_position) const {
  const uint64_t mask = reader_.alignment() - 1;
  const uint64_t length = std::min(geometry_.chunk_size, kPieceBytes);
  const uint64_t begin = geometry_.area_offset(area_) + position_;
  const uint64_t end = begin + length;
  const uint64_t before = begin & mask;
  const uint64_t after = std::min((~end + 1) & mask, geometry_.size - end);
  return {area_, position_, length, {begin - before, before + length + after}, slab_position};
}

void PieceReader::Advance(const Piece& piece) {
  position_ += piece.length;
  if (position_ == geometry_.chunk_size) {
    position_ = 0;
    area_++;
  }
}

EntrySpan PieceReader::Entries(const Piece& piece) const {
  const uint64_t offset = geometry_.area_offset(piece.area) + piece.position;
  return {piece.area, piece.position / kEntryBytes, offset,
          slab_.bytes().subspan(piece.slab_position + (offset - piece.read.offset), piece.length)};
}

// Entries before the one that ends the list. old_chunk may rightly be 0, so it does not matter
// here.
size_t CountLive(const EntrySpan& entries) {
  const size_t count = entries.count();
  size_t i = 0;
  while (i < count && entries.new_chunk(i) != 0) i++;
  return i;
}

// The kernel writes areas from zeroed memory, so that all is zero from the end of the list on.
Status CheckTail(const EntrySpan& entries, size_t live) {
  for (size_t i = live; i < entries.count(); i++) {
    if ((entries.old_chunk(i) | entries.new_chunk(i)) == 0) continue;
    if (i == live) {
      return entries.Corrupt(
          i, "new_chunk is 0 but old_chunk is " + std::to_string(entries.old_chunk(i)));
    }
    return entries.Corrupt(i, "not empty, though the list ended at entry " +
                                  std::to_string(entries.first_entry + live));
  }
  return Status::Ok();
}

void PauseBeforeRetry(uint32_t attempt) {
  std::this_thread::sleep_for(std::chrono::milliseconds(1 << std::min(attempt, 9U)));
}

// Counts the entries of a piece that belong to the list. A piece caught half-written is read again:
// entries once written are rewritten with the same bytes, so what was visited before stays true.
Status CountSettled(PieceReader& pieces, uint32_t retries, EntrySpan* entries, size_t* live) {
  for (uint32_t attempt = 0;; attempt++) {
    *live = CountLive(*entries);
    Status tail = CheckTail(*entries, *live);
    if (tail.ok() || attempt == retries) return tail;
    PauseBeforeRetry(attempt);
    if (Status status = pieces.Again(entries); !status.ok()) return status;
  }
}

}  // namespace

Status EntrySpan::Corrupt(size_t i, const std::string& what) const {
  return Status::Corrupt(
      offset + i * kEntryBytes,
      "area " + std::to_string(area) + ", entry " + std::to_string(first_entry + i) + ": " + what);
}

Status WalkExceptions(StoreReader& reader, const StoreGeometry& geometry,
                      const DecodeLimits& limits, EntryVisitor& visitor, uint64_t* exceptions) {
  PieceReader pieces(reader, geometry, limits.areas_known);
  if (Status status = pieces.Open(); !status.ok()) return status;
  uint64_t count = 0;
  for (;;) {
    EntrySpan entries;
    if (Status status = pieces.Next(&entries); !status.ok()) return status;
    size_t live = 0;
    Status status = CountSettled(pieces, limits.torn_retries, &entries, &live);
    if (!status.ok()) return status;
    if (status = visitor.Visit(entries.first(live)); !status.ok()) return status;
    count += live;
    if (live < entries.count()) {
      *exceptions = count;
      return Status::Ok();
    }
  }
}

}  // namespace lvmsync
