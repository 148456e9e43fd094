// Shared by the tests of damaged stores.
#pragma once

#include <cstdint>
#include <string>

#include "store_builder.h"

namespace lvmsync::testing {

// Fails unless the image is refused as corrupt at that byte, with a text that has the fragment in
// it and without a partial list, whatever is known about its areas.
void ExpectCorrupt(Image& image, const std::string& fragment, uint64_t offset,
                   const std::string& title);

}  // namespace lvmsync::testing
