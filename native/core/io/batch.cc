#include "core/io/batch.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>

#include "core/base/slab.h"

namespace lvmsync {
namespace {

constexpr size_t kPage = 4096;

// The part of an operation that O_DIRECT cannot transfer straight to or from the slab.
struct Edge {
  uint64_t offset;
  size_t length;
  std::byte* memory;
};

struct Plan {
  int fd = -1;
  std::vector<IoRequest> requests;
  std::vector<Edge> edges;
};

void AddRequest(Plan& plan, uint64_t offset, std::byte* memory, size_t length) {
  if (length == 0) return;
  if (!plan.requests.empty()) {
    IoRequest& last = plan.requests.back();
    if (last.offset + last.length == offset && last.memory + last.length == memory) {
      last.length += length;
      return;
    }
  }
  plan.requests.push_back({offset, memory, length, plan.fd});
}

// Both sides have to lie at the same place within a page, or the memory would be unaligned.
void AddAligned(Plan& plan, size_t alignment, uint64_t offset, std::byte* memory, size_t length) {
  const size_t head = std::min<size_t>(length, (alignment - offset % alignment) % alignment);
  const size_t tail = (length - head) % alignment;
  if (head > 0) plan.edges.push_back({offset, head, memory});
  AddRequest(plan, offset + head, memory + head, length - head - tail);
  if (tail > 0) plan.edges.push_back({offset + length - tail, tail, memory + length - tail});
}

Status MakePlan(const BlockFile& file, std::span<std::byte> slab,
                std::span<const Operation> operations, Plan* plan) {
  const size_t alignment = file.direct() ? file.info().alignment : 1;
  plan->fd = file.fd();
  plan->requests.reserve(operations.size());
  for (const Operation& operation : operations) {
    uint64_t slab_end;
    uint64_t file_end;
    if (__builtin_add_overflow(operation.slab_position, operation.length, &slab_end) ||
        slab_end > slab.size() ||
        __builtin_add_overflow(operation.offset, operation.length, &file_end) ||
        file_end > INT64_MAX) {
      return Status::Corrupt(operation.offset, "operation lies outside its slab or the file");
    }
    if (operation.length == 0) continue;
    std::byte* memory = slab.data() + operation.slab_position;
    const auto length = static_cast<size_t>(operation.length);
    if (operation.offset % alignment == reinterpret_cast<uintptr_t>(memory) % alignment) {
      AddAligned(*plan, alignment, operation.offset, memory, length);
    } else {
      plan->edges.push_back({operation.offset, length, memory});
    }
  }
  return Status::Ok();
}

std::vector<IoRequest> Split(const std::vector<IoRequest>& merged) {
  std::vector<IoRequest> pieces;
  pieces.reserve(merged.size());
  for (IoRequest request : merged) {
    while (request.length > 0) {
      const size_t length = std::min(request.length, kLargestRequest);
      pieces.push_back({request.offset, request.memory, length, request.fd});
      request.offset += length;
      request.memory += length;
      request.length -= length;
    }
  }
  return pieces;
}

Status RunBufferedEdge(const Syscalls& syscalls, int fd, Direction direction, const Edge& edge) {
  return TransferFully(syscalls, direction, {edge.offset, edge.memory, edge.length, fd});
}

// Reads the aligned span around the edge; when writing, patches it and writes it back. Nobody else
// writes a claimed destination, but another batch of ours may patch the same block.
Status RunBouncedEdge(const Syscalls& syscalls, const BlockFile& file, Direction direction,
                      const Edge& edge) {
  const uint64_t alignment = file.info().alignment;
  const uint64_t start = edge.offset / alignment * alignment;
  const uint64_t end = (edge.offset + edge.length + alignment - 1) / alignment * alignment;
  const Slab bounce = Slab::Allocate(static_cast<size_t>(end - start));
  if (bounce.size() == 0) return Status::System(ENOMEM, "mmap", edge.offset);
  std::unique_lock<std::mutex> patching;
  if (direction == Direction::kWrite) patching = std::unique_lock(file.patch_mutex());
  const IoRequest whole{start, bounce.data(), bounce.size(), file.fd()};
  if (Status status = TransferFully(syscalls, Direction::kRead, whole); !status.ok()) {
    return status;
  }
  std::byte* inside = bounce.data() + (edge.offset - start);
  if (direction == Direction::kRead) {
    std::memcpy(edge.memory, inside, edge.length);
    return Status::Ok();
  }
  std::memcpy(inside, edge.memory, edge.length);
  return TransferFully(syscalls, Direction::kWrite, whole);
}

Status RunEdge(const Syscalls& syscalls, const BlockFile& file, Direction direction,
               const Edge& edge) {
  if (file.direct() && file.info().block_device) {
    return RunBouncedEdge(syscalls, file, direction, edge);
  }
  return RunBufferedEdge(syscalls, file.buffered_fd(), direction, edge);
}

// Repeats a failed batch one block at a time: finds the block that fails, or succeeds where the
// failure has passed. Repeating is harmless, the same bytes go to the same place.
Status RunInPieces(const Syscalls& syscalls, Direction direction, size_t piece,
                   std::span<const IoRequest> requests) {
  for (const IoRequest& request : requests) {
    for (size_t done = 0; done < request.length; done += piece) {
      const size_t length = std::min(piece, request.length - done);
      Status status = TransferFully(
          syscalls, direction, {request.offset + done, request.memory + done, length, request.fd});
      if (!status.ok()) return status;
    }
  }
  return Status::Ok();
}

// So that both files are kept busy whatever order they are carried out in.
std::vector<IoRequest> Interleave(const std::vector<IoRequest>& a,
                                  const std::vector<IoRequest>& b) {
  std::vector<IoRequest> both;
  both.reserve(a.size() + b.size());
  for (size_t i = 0; i < std::max(a.size(), b.size()); i++) {
    if (i < a.size()) both.push_back(a[i]);
    if (i < b.size()) both.push_back(b[i]);
  }
  return both;
}

Status ReadEdges(const Syscalls& syscalls, const BlockFile& file, const Plan& plan) {
  for (const Edge& edge : plan.edges) {
    Status status = RunEdge(syscalls, file, Direction::kRead, edge);
    if (!status.ok()) return status;
  }
  return Status::Ok();
}

}  // namespace

Status RunBatch(const Syscalls& syscalls, IoEngine& engine, const BlockFile& file,
                Direction direction, std::span<std::byte> slab,
                std::span<const Operation> operations) {
  Plan plan;
  if (Status status = MakePlan(file, slab, operations, &plan); !status.ok()) return status;
  const std::vector<IoRequest> pieces = Split(plan.requests);
  Status status = engine.Run(direction, pieces);
  if (status.fault == Fault::kSystem && status.error == EIO) {
    const size_t piece = std::max<size_t>(file.info().alignment, kPage);
    status = RunInPieces(syscalls, direction, piece, pieces);
  }
  for (const Edge& edge : plan.edges) {
    if (!status.ok()) return status;
    status = RunEdge(syscalls, file, direction, edge);
  }
  return status;
}

Status ReadBoth(const Syscalls& syscalls, IoEngine& engine,
                std::span<const BlockFile* const, 2> files,
                std::span<const std::span<std::byte>, 2> slabs,
                std::span<const Operation> operations) {
  std::array<Plan, 2> plans;
  for (size_t i = 0; i < 2; i++) {
    Status status = MakePlan(*files[i], slabs[i], operations, &plans[i]);
    if (!status.ok()) return status;
  }
  Status status =
      engine.Run(Direction::kRead, Interleave(Split(plans[0].requests), Split(plans[1].requests)));
  for (size_t i = 0; i < 2 && status.ok(); i++) status = ReadEdges(syscalls, *files[i], plans[i]);
  if (status.ok()) return status;
  // One after the other, to know which of them fails, and where; or neither does any more.
  for (uint8_t i = 0; i < 2; i++) {
    status = RunBatch(syscalls, engine, *files[i], Direction::kRead, slabs[i], operations);
    status.file = i;
    if (!status.ok()) break;
  }
  return status;
}

Status HashBatch(const Syscalls& syscalls, IoEngine& engine, const BlockFile& file,
                 std::span<std::byte> slab, std::span<const Operation> operations,
                 std::span<Digest> digests) {
  Status status = RunBatch(syscalls, engine, file, Direction::kRead, slab, operations);
  if (!status.ok()) return status;
  for (size_t i = 0; i < operations.size(); i++) {
    const Operation& operation = operations[i];
    digests[i] = HashOf(slab.subspan(static_cast<size_t>(operation.slab_position),
                                     static_cast<size_t>(operation.length)));
  }
  return status;
}

}  // namespace lvmsync
