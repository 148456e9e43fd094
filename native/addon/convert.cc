#include "addon/convert.h"

#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

namespace lvmsync {
namespace {

constexpr double kLargestExact = 9007199254740991.0;  // 2^53 - 1

const char* CodeOf(const Status& status) {
  switch (status.fault) {
    case Fault::kUnexpectedEnd:
      return "UNEXPECTED_END";
    case Fault::kCorrupt:
      return "CORRUPT";
    case Fault::kCancelled:
      return "CANCELLED";
    case Fault::kSystem:
    case Fault::kNone:
      break;
  }
  const char* name = ::strerrorname_np(status.error);
  return name == nullptr ? "UNKNOWN" : name;
}

}  // namespace

std::span<std::byte> BytesOf(const Napi::Value& value) {
  if (value.IsArrayBuffer()) {
    auto buffer = value.As<Napi::ArrayBuffer>();
    return {static_cast<std::byte*>(buffer.Data()), buffer.ByteLength()};
  }
  if (!value.IsTypedArray()) throw Napi::TypeError::New(value.Env(), "bytes are expected");
  const auto view = value.As<Napi::TypedArray>();
  auto* start = static_cast<std::byte*>(view.ArrayBuffer().Data());
  return {start + view.ByteOffset(), view.ByteLength()};
}

uint64_t WholeNumber(const Napi::Value& value, const char* what) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= 0) || number > kLargestExact || std::floor(number) != number) {
    throw Napi::RangeError::New(value.Env(), std::string(what) + " is not a whole number in range");
  }
  return static_cast<uint64_t>(number);
}

std::vector<Operation> OperationsOf(const Napi::Value& value) {
  if (!value.IsTypedArray() ||
      value.As<Napi::TypedArray>().TypedArrayType() != napi_float64_array) {
    throw Napi::TypeError::New(value.Env(), "operations are a Float64Array");
  }
  const auto numbers = value.As<Napi::Float64Array>();
  if (numbers.ElementLength() % 3 != 0) {
    throw Napi::RangeError::New(value.Env(), "operations are triples");
  }
  std::vector<Operation> operations(numbers.ElementLength() / 3);
  const double* at = numbers.Data();
  for (Operation& operation : operations) {
    for (int i = 0; i < 3; i++) {
      if (!(at[i] >= 0) || at[i] > kLargestExact) {
        throw Napi::RangeError::New(value.Env(), "an operation is out of range");
      }
    }
    operation = {static_cast<uint64_t>(at[0]), static_cast<uint64_t>(at[1]),
                 static_cast<uint64_t>(at[2])};
    at += 3;
  }
  return operations;
}

Napi::Float64Array FromOperations(Napi::Env env, const std::vector<Operation>& operations) {
  auto numbers = Napi::Float64Array::New(env, operations.size() * 3);
  double* at = numbers.Data();
  for (const Operation& operation : operations) {
    *at++ = static_cast<double>(operation.offset);
    *at++ = static_cast<double>(operation.length);
    *at++ = static_cast<double>(operation.slab_position);
  }
  return numbers;
}

std::vector<Extent> ExtentsOf(const Napi::Value& value) {
  if (!value.IsTypedArray() ||
      value.As<Napi::TypedArray>().TypedArrayType() != napi_float64_array) {
    throw Napi::TypeError::New(value.Env(), "extents are a Float64Array");
  }
  const auto numbers = value.As<Napi::Float64Array>();
  std::vector<Extent> extents(numbers.ElementLength() / 2);
  const double* at = numbers.Data();
  for (Extent& extent : extents) {
    if (!(at[0] >= 0) || !(at[1] >= 0) || at[0] + at[1] > kLargestExact) {
      throw Napi::RangeError::New(value.Env(), "an extent is out of range");
    }
    extent = {static_cast<uint64_t>(at[0]), static_cast<uint64_t>(at[1])};
    at += 2;
  }
  return extents;
}

Napi::Float64Array FromExtents(Napi::Env env, const ExtentList& extents) {
  auto numbers = Napi::Float64Array::New(env, extents.size() * 2);
  double* at = numbers.Data();
  for (const Extent& extent : extents) {
    *at++ = static_cast<double>(extent.offset);
    *at++ = static_cast<double>(extent.length);
  }
  return numbers;
}

Napi::Float64Array TakeExtents(Napi::Env env, ExtentList extents) {
  static_assert(sizeof(Extent) == 2 * sizeof(double));
  if (extents.empty()) return FromExtents(env, extents);
  for (Extent& extent : extents) {
    const double pair[] = {static_cast<double>(extent.offset), static_cast<double>(extent.length)};
    std::memcpy(&extent, pair, sizeof pair);
  }
  auto kept = std::make_unique<ExtentList>(std::move(extents));
  const size_t size = kept->size() * sizeof(Extent);
  auto memory = Napi::ArrayBuffer::New(
      env, kept->data(), size, [](Napi::Env, void*, ExtentList* list) { delete list; }, kept.get());
  const size_t count = 2 * kept.release()->size();
  return Napi::Float64Array::New(env, count, memory, 0);
}

Napi::Buffer<uint8_t> CopyBytes(Napi::Env env, const void* bytes, size_t size) {
  return Napi::Buffer<uint8_t>::Copy(env, static_cast<const uint8_t*>(bytes), size);
}

Napi::Buffer<uint8_t> FromDigest(Napi::Env env, const Digest& digest) {
  return CopyBytes(env, digest.data(), digest.size());
}

Napi::Error ToError(Napi::Env env, const Status& status) {
  std::string message = status.detail;
  if (status.fault == Fault::kSystem) message = ::strerrordesc_np(status.error);
  if (message.empty()) message = CodeOf(status);
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, CodeOf(status)));
  error.Set("syscall", Napi::String::New(env, status.syscall));
  error.Set("offset", Napi::Number::New(env, static_cast<double>(status.offset)));
  error.Set("file", Napi::Number::New(env, status.file));
  error.Set("detail", Napi::String::New(env, status.detail));
  return error;
}

}  // namespace lvmsync
