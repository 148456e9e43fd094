#include "expect_corrupt.h"

#include "core/store/exception_store.h"
#include "testing.h"

namespace lvmsync::testing {

void ExpectCorrupt(Image& image, const std::string& fragment, uint64_t offset,
                   const std::string& title) {
  for (const uint64_t areas_known : {uint64_t{0}, uint64_t{3}, UINT64_MAX}) {
    DecodedStore decoded;
    decoded.extents.push_back({1, 2});
    const Status status = DecodeStore(image.store, {image.origin_size, areas_known}, &decoded);
    Expect(status.fault == Fault::kCorrupt, title + ": is corrupt");
    ExpectContains(title + ": " + status.detail, fragment);
    ExpectEqual(status.offset, offset, title + ": offset");
    Expect(decoded.extents.empty() && decoded.exceptions == 0, title + ": nothing is decoded");
  }
}

}  // namespace lvmsync::testing
