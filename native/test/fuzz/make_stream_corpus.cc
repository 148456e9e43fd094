// Writes the seeds of fuzz_record_reader and fuzz_control_frame into folders of these names in the
// one named as argument.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "record_streams.h"
#include "stream_repair.h"

namespace lvmsync {
namespace {

using testing::Bytes;
using testing::Form;

struct Seed {
  const char* name;
  Form form;
  uint8_t rules;  // the first two bytes of an input, see fuzz_record_reader.cc
  uint8_t arrival;
  uint64_t bytes;
  uint64_t longest;
};

constexpr Seed kSeeds[] = {
    {"sorted", Form::kSorted, 0, 0, 500, 40},
    {"sorted-small-pieces", Form::kSorted, 0, 4, 300, 40},
    {"unsorted", Form::kUnsorted, 0, 12, 500, 40},
    {"long-records", Form::kSorted, 0, 0, 9000, 9000},
    {"small-slab", Form::kSorted, 0, 2, 900, 400},
    {"classic-strict", Form::kClassic, 0, 0, 600, 64},
    {"classic-forced", Form::kClassic, 1, 8, 600, 64},
    {"classic-small-slab", Form::kClassic, 1, 2, 20000, 9000},
    {"classic-tiny-device", Form::kClassic, 3, 4, 200, 8},
    {"leftover", Form::kSorted, 2, 0, 400, 60},
};

void Write(const std::filesystem::path& path, const Bytes& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
}

void WriteStreams(const std::filesystem::path& folder) {
  for (const Seed& seed : kSeeds) {
    std::mt19937_64 random(seed.bytes + seed.longest);
    uint64_t device_size = 0;
    const auto groups =
        testing::RandomGroups(seed.bytes, seed.longest, seed.form, random, &device_size);
    Bytes input{std::byte{seed.rules}, std::byte{seed.arrival}};
    const Bytes stream = testing::MakeStream(groups, seed.form, device_size);
    input.insert(input.end(), stream.begin(), stream.end());
    Write(folder / "fuzz_record_reader" / seed.name, input);
  }
}

void Append(Bytes& bytes, const Bytes& more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

// Two groups: one of records and discards, one of discards only.
void WriteDiscards(const std::filesystem::path& folder) {
  const Extent discards[] = {{4096, 8192}, {65536, 512}};
  const Extent more[] = {{131072, 4096}};
  Bytes stream;
  testing::AppendText(stream, testing::kHandshake);
  Append(stream, EncodeFrame(kHello, testing::HelloPayload(1 << 20, true)));
  testing::AppendRecord(stream, 512, 100);
  Append(stream, EncodeDiscard(discards));
  Append(stream, EncodeGroup({}));
  Append(stream, EncodeDiscard(more));
  Append(stream, EncodeGroup({}));
  Append(stream, EncodeFrame(kEnd, Bytes(40)));
  Bytes input{std::byte{1}, std::byte{8}};
  Append(input, testing::StreamRepair::Repaired(stream));
  Write(folder / "fuzz_record_reader" / "discards", input);
}

void WriteFrames(const std::filesystem::path& folder) {
  const auto target = folder / "fuzz_control_frame";
  const Bytes hello = EncodeFrame(kHello, testing::HelloPayload(1 << 20, true));
  const Bytes mark = EncodeGroup({.number = 3, .records = 4, .bytes = 5});
  Bytes several = hello;
  several.insert(several.end(), mark.begin(), mark.end());
  Write(target / "hello", hello);
  Write(target / "group", mark);
  Write(target / "hello-group", several);
  Write(target / "empty", EncodeFrame(kAbort, {}));
}

}  // namespace
}  // namespace lvmsync

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_stream_corpus FOLDER\n");
    return EXIT_FAILURE;
  }
  try {
    lvmsync::WriteStreams(argv[1]);
    lvmsync::WriteDiscards(argv[1]);
    lvmsync::WriteFrames(argv[1]);
    return EXIT_SUCCESS;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return EXIT_FAILURE;
  }
}
