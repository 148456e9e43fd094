#include "core/system/device_mapper.h"

#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>

#include "core/base/file_descriptor.h"

namespace lvmsync {
namespace {

constexpr const char* kControl = "/dev/mapper/control";
constexpr size_t kFirstSize = 16 * 1024;
// A table of a million lines: no real device has more.
constexpr size_t kLargestSize = 256UL * 1024 * 1024;

uint32_t FlagsOf(MappedQuestion question) {
  switch (question) {
    case MappedQuestion::kTable:
      return DM_STATUS_TABLE_FLAG;
    case MappedQuestion::kStatus:
      return 0;
    case MappedQuestion::kStatusNoFlush:
      return DM_NOFLUSH_FLAG;
  }
  return 0;
}

dm_ioctl RequestFor(const MappedSelector& selector, MappedQuestion question, size_t size) {
  dm_ioctl request{};
  // The oldest one that has all of this: the kernel takes what is not newer than itself.
  request.version[0] = 4;
  request.data_size = static_cast<uint32_t>(size);
  request.data_start = sizeof(dm_ioctl);
  request.flags = FlagsOf(question);
  request.dev = selector.device;
  selector.name.copy(request.name, sizeof(request.name) - 1);
  selector.uuid.copy(request.uuid, sizeof(request.uuid) - 1);
  return request;
}

template <size_t N>
std::string TextOf(const char (&text)[N]) {
  return {text, ::strnlen(text, N)};
}

}  // namespace

uint64_t EncodeDevice(uint32_t major, uint32_t minor) {
  const uint64_t high = minor & ~0xffU;
  return (minor & 0xffU) | (static_cast<uint64_t>(major) << 8) | (high << 12);
}

Status ParseMappedDevice(std::span<const std::byte> answer, MappedDevice* device) {
  dm_ioctl header;
  if (answer.size() < sizeof(header)) return Status::Corrupt(0, "no header of device-mapper");
  std::memcpy(&header, answer.data(), sizeof(header));
  *device = {TextOf(header.name),
             TextOf(header.uuid),
             static_cast<uint32_t>((header.dev >> 8) & 0xfff),
             static_cast<uint32_t>((header.dev & 0xff) | ((header.dev >> 12) & 0xfff00)),
             {}};
  if (header.target_count == 0) return Status::Ok();
  if (header.data_start > answer.size()) return Status::Corrupt(0, "targets behind their end");
  const auto targets = answer.subspan(header.data_start);
  size_t at = 0;
  for (uint32_t i = 0; i < header.target_count; i++) {
    dm_target_spec target;
    if (at > targets.size() || targets.size() - at < sizeof(target)) {
      return Status::Corrupt(header.data_start + at, "a target behind their end");
    }
    std::memcpy(&target, targets.data() + at, sizeof(target));
    const auto rest = targets.subspan(at + sizeof(target));
    const auto* words = reinterpret_cast<const char*>(rest.data());
    const size_t length = ::strnlen(words, rest.size());
    device->targets.push_back({target.sector_start, target.length, TextOf(target.target_type),
                               std::string(words, length)});
    at = target.next;
  }
  return Status::Ok();
}

Status AskDeviceMapper(const MappedSelector& selector, MappedQuestion question,
                       MappedDevice* device) {
  const FileDescriptor control(::open(kControl, O_RDWR | O_CLOEXEC));
  if (control.get() < 0) return Status::System(errno, "open", 0);
  for (size_t size = kFirstSize; size <= kLargestSize; size *= 4) {
    std::vector<std::byte> answer(size);
    const dm_ioctl request = RequestFor(selector, question, size);
    std::memcpy(answer.data(), &request, sizeof(request));
    if (::ioctl(control.get(), DM_TABLE_STATUS, answer.data()) != 0) {
      return Status::System(errno, "ioctl", 0);
    }
    uint32_t flags = 0;
    std::memcpy(&flags, answer.data() + offsetof(dm_ioctl, flags), sizeof(flags));
    if ((flags & DM_BUFFER_FULL_FLAG) == 0) return ParseMappedDevice(answer, device);
  }
  return Status::System(E2BIG, "ioctl", 0);
}

}  // namespace lvmsync
