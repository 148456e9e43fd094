// JavaScript class RecordReader.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "addon/addon.h"
#include "addon/convert.h"
#include "addon/exclusive.h"
#include "core/stream/record_reader.h"

namespace lvmsync {
namespace {

const char* NameOf(Stop stop) {
  switch (stop) {
    case Stop::kFull:
      return "full";
    case Stop::kGroup:
      return "group";
    case Stop::kBadGroup:
      return "badGroup";
    case Stop::kFrame:
      return "frame";
    case Stop::kEnd:
      break;
  }
  return "end";
}

class RecordReaderObject : public Napi::ObjectWrap<RecordReaderObject> {
 public:
  explicit RecordReaderObject(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<RecordReaderObject>(info) {
    const auto fd = static_cast<int>(WholeNumber(info[0], "fd"));
    exclusive_.stream = std::make_shared<RecordReader>(TheSyscalls(), fd);
  }

  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "RecordReader",
                       {InstanceMethod("peek", &RecordReaderObject::Peek),
                        InstanceMethod("switchTo", &RecordReaderObject::SwitchTo),
                        InstanceMethod("readLine", &RecordReaderObject::ReadLine),
                        InstanceMethod("first", &RecordReaderObject::First),
                        InstanceMethod("beginFramed", &RecordReaderObject::BeginFramed),
                        InstanceMethod("beginClassic", &RecordReaderObject::BeginClassic),
                        InstanceMethod("next", &RecordReaderObject::Next),
                        InstanceMethod("state", &RecordReaderObject::State),
                        InstanceMethod("cancel", &RecordReaderObject::Cancel)});
  }

 private:
  Napi::Value Peek(const Napi::CallbackInfo& info) {
    const auto count = static_cast<size_t>(WholeNumber(info[0], "count"));
    auto bytes = std::make_shared<std::vector<std::byte>>();
    auto job = std::make_unique<Job>(info.Env());
    job->work = [reader = exclusive_.stream, count, bytes] {
      return reader->Peek(count, bytes.get());
    };
    job->result = [bytes](Napi::Env env) -> Napi::Value {
      return CopyBytes(env, bytes->data(), bytes->size());
    };
    return exclusive_.Run(info, std::move(job));
  }

  Napi::Value SwitchTo(const Napi::CallbackInfo& info) {
    if (exclusive_.busy) throw Napi::Error::New(info.Env(), "the stream is busy");
    const auto fd = static_cast<int>(WholeNumber(info[0], "fd"));
    const std::vector<std::byte> left = exclusive_.stream->SwitchTo(fd);
    return CopyBytes(info.Env(), left.data(), left.size());
  }

  Napi::Value ReadLine(const Napi::CallbackInfo& info) {
    const auto limit = static_cast<size_t>(WholeNumber(info[0], "limit"));
    auto line = std::make_shared<std::string>();
    auto job = std::make_unique<Job>(info.Env());
    job->work = [reader = exclusive_.stream, limit, line] {
      return reader->ReadLine(limit, line.get());
    };
    job->result = [line](Napi::Env env) -> Napi::Value {
      return CopyBytes(env, line->data(), line->size());
    };
    return exclusive_.Run(info, std::move(job));
  }

  Napi::Value First(const Napi::CallbackInfo& info) {
    auto first = std::make_shared<RecordReader::FirstRecord>();
    auto job = std::make_unique<Job>(info.Env());
    job->work = [reader = exclusive_.stream, first] { return reader->First(first.get()); };
    job->result = [first](Napi::Env env) -> Napi::Value {
      const char* name = *first == RecordReader::FirstRecord::kNone      ? "none"
                         : *first == RecordReader::FirstRecord::kControl ? "control"
                                                                         : "data";
      return Napi::String::New(env, name);
    };
    return exclusive_.Run(info, std::move(job));
  }

  Napi::Value BeginFramed(const Napi::CallbackInfo& info) {
    const auto given = info[0].As<Napi::Object>();
    FramedRules rules;
    rules.stream_id = FixedBytes<16>(given.Get("streamId"));
    rules.device_size = WholeNumber(given.Get("deviceSize"), "deviceSize");
    rules.sorted = given.Get("sorted").ToBoolean();
    rules.discards = given.Get("discards").ToBoolean();
    exclusive_.stream->BeginFramed(rules);
    return info.Env().Undefined();
  }

  Napi::Value BeginClassic(const Napi::CallbackInfo& info) {
    const auto given = info[0].As<Napi::Object>();
    ClassicRules rules;
    rules.device_size = WholeNumber(given.Get("deviceSize"), "deviceSize");
    rules.strict = given.Get("strict").ToBoolean();
    rules.skip_control = given.Get("skipControl").ToBoolean();
    exclusive_.stream->BeginClassic(rules);
    return info.Env().Undefined();
  }

  Napi::Value Next(const Napi::CallbackInfo& info) {
    const std::span<std::byte> slab = BytesOf(info[0]);
    auto result = std::make_shared<ReadResult>();
    auto job = std::make_unique<Job>(info.Env());
    job->keep.push_back(Keep(info[0]));
    job->work = [reader = exclusive_.stream, slab, result] {
      return reader->Next(slab, result.get());
    };
    job->result = [result](Napi::Env env) { return ResultValue(env, *result); };
    return exclusive_.Run(info, std::move(job));
  }

  static Napi::Value ResultValue(Napi::Env env, const ReadResult& result) {
    Napi::Object out = Napi::Object::New(env);
    out.Set("stop", NameOf(result.stop));
    out.Set("operations", FromOperations(env, result.operations));
    out.Set("discards", FromExtents(env, result.discards));
    out.Set("records", static_cast<double>(result.records));
    out.Set("bytes", static_cast<double>(result.bytes));
    out.Set("droppedBytes", static_cast<double>(result.dropped_bytes));
    out.Set("reason", result.reason);
    if (result.stop == Stop::kFrame) {
      Napi::Object frame = Napi::Object::New(env);
      frame.Set("type", result.frame.type);
      frame.Set("version", result.frame.version);
      frame.Set("payload",
                CopyBytes(env, result.frame.payload.data(), result.frame.payload.size()));
      out.Set("frame", frame);
    }
    return out;
  }

  Napi::Value State(const Napi::CallbackInfo& info) {
    if (exclusive_.busy) throw Napi::Error::New(info.Env(), "the stream is busy");
    Napi::Object out = Napi::Object::New(info.Env());
    out.Set("position", static_cast<double>(exclusive_.stream->position()));
    out.Set("groupStart", static_cast<double>(exclusive_.stream->group_start()));
    out.Set("digest", FromDigest(info.Env(), exclusive_.stream->total_digest()));
    return out;
  }

  Napi::Value Cancel(const Napi::CallbackInfo& info) {
    exclusive_.stream->Cancel();
    return info.Env().Undefined();
  }

  Exclusive<RecordReader> exclusive_;
};

}  // namespace

void InitRecordReader(Napi::Env env, Napi::Object exports) {
  exports.Set("RecordReader", RecordReaderObject::Define(env));
}

}  // namespace lvmsync
