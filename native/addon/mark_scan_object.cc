// JavaScript function scanMarks.
#include <memory>

#include "addon/addon.h"
#include "addon/convert.h"
#include "core/stream/mark_scan.h"

namespace lvmsync {
namespace {

// kNoneDurable is -1 in JavaScript.
double MarkNumber(uint64_t group) {
  return group == GroupMark::kNoneDurable ? -1 : static_cast<double>(group);
}

// scanMarks(fd, offset, streamTag) -> Promise<{ endSeen, highestDurable or -1 }>
Napi::Value ScanMarksFrom(const Napi::CallbackInfo& info) {
  const auto fd = static_cast<int>(WholeNumber(info[0], "fd"));
  const uint64_t offset = WholeNumber(info[1], "offset");
  const auto tag = FixedBytes<kStreamTagSize>(info[2]);
  auto scan = std::make_shared<MarkScan>();
  auto job = std::make_unique<Job>(info.Env());
  job->work = [fd, offset, tag, scan] {
    return ScanMarks(TheSyscalls(), fd, offset, tag, scan.get());
  };
  job->result = [scan](Napi::Env env) -> Napi::Value {
    Napi::Object out = Napi::Object::New(env);
    out.Set("endSeen", scan->end_seen);
    out.Set("highestDurable", MarkNumber(scan->highest_durable));
    return out;
  };
  return DataOf(info.Env()).pool.Submit(std::move(job));
}

}  // namespace

void InitMarkScan(Napi::Env env, Napi::Object exports) {
  exports.Set("scanMarks", Napi::Function::New(env, ScanMarksFrom, "scanMarks"));
}

}  // namespace lvmsync
