// The exception store decoded the plain way, one entry at a time, to compare the real one with.
#pragma once

#include <optional>

#include "core/store/exception_store.h"
#include "memory_store.h"

namespace lvmsync {

// nullopt where the store is damaged.
std::optional<DecodedStore> ReferenceDecode(const MemoryStore& store, uint64_t origin_size);

}  // namespace lvmsync
