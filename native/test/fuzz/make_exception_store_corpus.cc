// Writes the seeds of fuzz_exception_store into the folder named as argument.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "store_builder.h"

namespace lvmsync {
namespace {

struct Seed {
  const char* name;
  ImageSpec spec;
};

const Seed kSeeds[] = {
    {"empty", {.chunk_size = 512, .exceptions = 0, .origin_chunks = 1}},
    {"one", {.chunk_size = 512, .exceptions = 1, .origin_chunks = 9, .origin_shortfall = 7}},
    {"almost-an-area", {.chunk_size = 512, .exceptions = 31, .origin_chunks = 31}},
    {"an-area", {.chunk_size = 512, .exceptions = 32, .origin_chunks = 4000}},
    {"over-an-area", {.chunk_size = 512, .exceptions = 33, .origin_chunks = uint64_t{1} << 40}},
    {"four-areas", {.chunk_size = 512, .exceptions = 128, .origin_chunks = 150}},
    {"out-of-order",
     {.chunk_size = 512, .exceptions = 100, .origin_chunks = 700, .layout = Layout::kCompletion}},
    {"chunk-1k", {.chunk_size = 1024, .exceptions = 70, .origin_chunks = 99}},
    {"chunk-4k", {.chunk_size = 4096, .exceptions = 257, .origin_chunks = 300}},
};

void AppendU64(std::vector<std::byte>& bytes, uint64_t value) {
  for (int shift = 0; shift < 64; shift += 8) {
    bytes.push_back(static_cast<std::byte>(value >> shift & 0xff));
  }
}

// What fuzz_exception_store.cc reads: parameters, header, areas.
std::vector<std::byte> Pack(const Image& image) {
  std::vector<std::byte> bytes;
  AppendU64(bytes, image.origin_size);
  const uint64_t alignment_exponent = 12;
  AppendU64(bytes,
            image.store.size() / kSectorBytes | alignment_exponent << 32 | image.areas << 40);
  AppendU64(bytes, image.store.PeekU64(0));
  AppendU64(bytes, image.store.PeekU64(8));
  for (uint64_t area = 0; area < image.areas; area++) {
    std::vector<std::byte> chunk(image.geometry.chunk_size);
    image.store.Peek(image.geometry.area_offset(area), chunk);
    bytes.insert(bytes.end(), chunk.begin(), chunk.end());
  }
  return bytes;
}

void WriteSeeds(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  for (const Seed& seed : kSeeds) {
    std::mt19937_64 random(seed.spec.exceptions);
    const std::vector<std::byte> bytes = Pack(MakeImage(seed.spec, random));
    std::ofstream file(folder / seed.name, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    if (!file.flush()) throw std::runtime_error("cannot write " + (folder / seed.name).string());
  }
}

}  // namespace
}  // namespace lvmsync

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_exception_store_corpus FOLDER\n");
    return EXIT_FAILURE;
  }
  try {
    lvmsync::WriteSeeds(argv[1]);
    return EXIT_SUCCESS;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return EXIT_FAILURE;
  }
}
