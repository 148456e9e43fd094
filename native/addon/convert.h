// Turns values of JavaScript into values of the core, and back. JavaScript thread only. A value of
// another type throws a TypeError, a number or a length out of range a RangeError.
#pragma once

#include <napi.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "core/base/extent.h"
#include "core/base/hash.h"
#include "core/base/result.h"
#include "core/io/batch.h"

namespace lvmsync {

// The bytes of an ArrayBuffer or of a view of one. They stay the buffer's: keep it while they are
// in use.
std::span<std::byte> BytesOf(const Napi::Value& value);

// A copy of exactly `size` bytes.
template <size_t size>
std::array<uint8_t, size> FixedBytes(const Napi::Value& value) {
  const std::span<std::byte> bytes = BytesOf(value);
  if (bytes.size() != size) throw Napi::RangeError::New(value.Env(), "wrong number of bytes");
  std::array<uint8_t, size> fixed;
  std::memcpy(fixed.data(), bytes.data(), size);
  return fixed;
}

// 0 .. 2^53 - 1; `what` names the value in the error.
uint64_t WholeNumber(const Napi::Value& value, const char* what);

// Triples offset, length, slabPosition in a Float64Array.
std::vector<Operation> OperationsOf(const Napi::Value& value);
Napi::Float64Array FromOperations(Napi::Env env, const std::vector<Operation>& operations);

// Pairs offset, length in a Float64Array.
std::vector<Extent> ExtentsOf(const Napi::Value& value);
Napi::Float64Array FromExtents(Napi::Env env, const ExtentList& extents);
// The same in the memory of the list itself, which a change list of millions should not be in
// twice.
Napi::Float64Array TakeExtents(Napi::Env env, ExtentList extents);

Napi::Buffer<uint8_t> CopyBytes(Napi::Env env, const void* bytes, size_t size);
Napi::Buffer<uint8_t> FromDigest(Napi::Env env, const Digest& digest);

// A JavaScript Error for a failed Status: code (errno's name or "UNEXPECTED_END", "CORRUPT",
// "CANCELLED"), syscall, offset, file, detail.
Napi::Error ToError(Napi::Env env, const Status& status);

}  // namespace lvmsync
