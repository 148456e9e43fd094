// Any bytes as an exception store: the decoder must agree with a plain one, whatever way it reads.
//
// Input: 16 bytes of parameters (see Parameters), then the header's 16 bytes, then the bytes of the
// areas one after the other. The chunks between the areas are left out of the input, so that a
// small one reaches far into the chain.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <span>

#include "core/base/little_endian.h"
#include "core/store/exception_store.h"
#include "core/store/store_geometry.h"
#include "memory_store.h"
#include "reference_decoder.h"

namespace {

using lvmsync::DecodedStore;
using lvmsync::DecodeStore;
using lvmsync::Extent;
using lvmsync::MemoryStore;
using lvmsync::Status;

struct Parameters {
  static constexpr size_t kBytes = 16;
  explicit Parameters(const std::byte* bytes)
      : origin_size(lvmsync::load_le64(bytes)),
        store_sectors(lvmsync::load_le32(bytes + 8)),
        alignment(std::to_integer<uint32_t>(bytes[12])),
        areas_known(std::to_integer<uint32_t>(bytes[13])),
        logical_block(std::to_integer<uint32_t>(bytes[14])),
        odd_bytes(std::to_integer<uint32_t>(bytes[15])) {}

  uint64_t origin_size;
  uint32_t store_sectors;
  uint32_t alignment;  // the exponent
  uint32_t areas_known;
  uint32_t logical_block;
  uint32_t odd_bytes;  // of the store behind its last sector
};

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "violated: %s\n", what);
  std::abort();
}

MemoryStore MakeStore(const Parameters& parameters, std::span<const std::byte> bytes) {
  const uint64_t size = uint64_t{parameters.store_sectors} * 512 + parameters.odd_bytes;
  MemoryStore store(size, 0);
  store.set_logical_block(parameters.logical_block % 2 == 0 ? 512 : 4096);
  store.Write(0, bytes.first(std::min<size_t>(bytes.size(), 16)));
  if (bytes.size() <= 16) return store;
  const uint64_t chunk_size = uint64_t{lvmsync::load_le32(bytes.data() + 12)} * 512;
  const lvmsync::StoreGeometry geometry{chunk_size, size};
  bytes = bytes.subspan(16);
  for (uint64_t area = 0; chunk_size > 0 && area < geometry.areas() && !bytes.empty(); area++) {
    const size_t length = std::min<size_t>(bytes.size(), chunk_size);
    store.Write(geometry.area_offset(area), bytes.first(length));
    bytes = bytes.subspan(length);
  }
  return store;
}

void RequireSound(const DecodedStore& decoded, uint64_t origin_size) {
  uint64_t end = 0;
  bool first = true;
  for (const Extent& extent : decoded.extents) {
    Require(extent.length > 0 && extent.offset < origin_size, "extents are inside the origin");
    Require(extent.length <= origin_size - extent.offset, "extents end inside the origin");
    Require(first || extent.offset > end, "extents ascend and do not touch");
    end = extent.offset + extent.length;
    first = false;
  }
}

void RequireAgreement(MemoryStore& store, const lvmsync::DecodeLimits& limits,
                      const std::optional<DecodedStore>& expected) {
  DecodedStore decoded;
  const Status status = DecodeStore(store, limits, &decoded);
  Require(status.ok() == expected.has_value(), "both decoders accept, or none");
  if (!status.ok()) {
    Require(status.fault == lvmsync::Fault::kCorrupt && !status.detail.empty(),
            "says what is wrong");
    Require(status.offset <= store.size(), "says where");
    Require(decoded.extents.empty(), "gives no partial list");
    return;
  }
  Require(decoded.exceptions == expected->exceptions, "same count");
  Require(decoded.chunk_size == expected->chunk_size, "same chunk size");
  Require(decoded.extents == expected->extents, "same extents");
  RequireSound(decoded, limits.origin_size);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < Parameters::kBytes) return 0;
  const auto bytes = std::as_bytes(std::span(data, size));
  const Parameters parameters(bytes.data());
  MemoryStore store = MakeStore(parameters, bytes.subspan(Parameters::kBytes));
  const auto expected = lvmsync::ReferenceDecode(store, parameters.origin_size);
  RequireAgreement(store, {.origin_size = parameters.origin_size}, expected);
  store.set_alignment(1U << parameters.alignment % 17);
  RequireAgreement(store,
                   {.origin_size = parameters.origin_size, .areas_known = parameters.areas_known},
                   expected);
  return 0;
}
