// JavaScript classes RecordWriter, RecordReader, InputStream, ExtentSet and Xxh32, and the
// functions scanMarks and readInBulk.
#include "../core/extent_set.h"
#include "../core/mark_scan.h"
#include "../core/record_reader.h"
#include "../core/record_writer.h"
#include "../core/xxh32.h"
#include "addon.h"
#include "convert.h"

namespace lvmsync {
namespace {

// kNoneDurable is -1 in JavaScript.
double MarkNumber(uint64_t group) {
  return group == GroupMark::kNoneDurable ? -1 : static_cast<double>(group);
}

// A stream end, and the rule that it does one thing at a time.
template <class Stream>
struct Exclusive {
  std::shared_ptr<Stream> stream;
  bool busy = false;

  Napi::Promise Run(const Napi::CallbackInfo& info, std::unique_ptr<Job> job) {
    if (busy) throw Napi::Error::New(info.Env(), "the stream is busy");
    busy = true;
    job->keep.push_back(Keep(info.This()));
    job->settled = [this] { busy = false; };
    return DataOf(info.Env()).pool.Submit(std::move(job));
  }
};

class RecordWriterObject : public Napi::ObjectWrap<RecordWriterObject> {
 public:
  explicit RecordWriterObject(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<RecordWriterObject>(info) {
    const auto fd = static_cast<int>(WholeNumber(info[0], "fd"));
    exclusive_.stream = std::make_shared<RecordWriter>(TheSyscalls(), fd, FixedBytes<16>(info[1]));
  }

  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "RecordWriter",
                       {InstanceMethod("writeRaw", &RecordWriterObject::WriteRaw),
                        InstanceMethod("writeGroup", &RecordWriterObject::WriteGroup),
                        InstanceMethod("encodeGroup", &RecordWriterObject::EncodeGroup),
                        InstanceMethod("encodeDiscards", &RecordWriterObject::EncodeDiscards),
                        InstanceMethod("syncData", &RecordWriterObject::SyncData),
                        InstanceMethod("totals", &RecordWriterObject::Totals),
                        InstanceMethod("taken", &RecordWriterObject::Taken),
                        InstanceMethod("cancel", &RecordWriterObject::Cancel)});
  }

 private:
  // The bytes are not copied.
  Napi::Value WriteRaw(const Napi::CallbackInfo& info) {
    auto job = std::make_unique<Job>(info.Env());
    job->keep.push_back(Keep(info[0]));
    job->work = [writer = exclusive_.stream, bytes = BytesOf(info[0])] {
      return writer->WriteRaw(bytes);
    };
    return exclusive_.Run(info, std::move(job));
  }

  // writeGroup(slab, operations, framed, durableGroup or -1)
  Napi::Value WriteGroup(const Napi::CallbackInfo& info) {
    auto job = std::make_unique<Job>(info.Env());
    job->work = [group = GroupOf(info, *job)] {
      return group.writer->WriteGroup(group.slab, group.operations, group.framed, group.durable);
    };
    return exclusive_.Run(info, std::move(job));
  }

  // encodeGroup(slab, operations, framed, durableGroup or -1) -> Promise<Buffer>
  Napi::Value EncodeGroup(const Napi::CallbackInfo& info) {
    auto encoded = std::make_shared<EncodedGroup>();
    auto job = std::make_unique<Job>(info.Env());
    job->work = [group = GroupOf(info, *job), encoded] {
      return group.writer->EncodeGroup(group.slab, group.operations, group.framed, group.durable,
                                       encoded.get());
    };
    job->result = [encoded](Napi::Env env) -> Napi::Value {
      auto* bytes = reinterpret_cast<uint8_t*>(encoded->data.release());
      return Napi::Buffer<uint8_t>::New(env, bytes, encoded->size, [](Napi::Env, uint8_t* data) {
        delete[] reinterpret_cast<std::byte*>(data);
      });
    };
    return exclusive_.Run(info, std::move(job));
  }

  struct Group {
    std::shared_ptr<RecordWriter> writer;
    std::span<std::byte> slab;
    std::vector<Operation> operations;
    bool framed;
    uint64_t durable;
  };

  Group GroupOf(const Napi::CallbackInfo& info, Job& job) const {
    const double mark = info[3].As<Napi::Number>().DoubleValue();
    job.keep.push_back(Keep(info[0]));
    return {exclusive_.stream, BytesOf(info[0]), OperationsOf(info[1]), info[2].ToBoolean(),
            mark < 0 ? GroupMark::kNoneDurable : static_cast<uint64_t>(mark)};
  }

  // encodeDiscards(extents) -> Buffer: at most 256 pairs.
  Napi::Value EncodeDiscards(const Napi::CallbackInfo& info) {
    if (exclusive_.busy) throw Napi::Error::New(info.Env(), "the stream is busy");
    const auto extents = ExtentsOf(info[0]);
    if (extents.size() > kLargestDiscard) {
      throw Napi::RangeError::New(info.Env(), "too many discards for one group");
    }
    const std::vector<std::byte> bytes = exclusive_.stream->EncodeDiscards(extents);
    return CopyBytes(info.Env(), bytes.data(), bytes.size());
  }

  // May run beside the other calls: it touches the descriptor only.
  Napi::Value SyncData(const Napi::CallbackInfo& info) {
    auto job = std::make_unique<Job>(info.Env());
    job->keep.push_back(Keep(info.This()));
    job->work = [writer = exclusive_.stream] { return writer->SyncData(); };
    return DataOf(info.Env()).pool.Submit(std::move(job));
  }

  Napi::Value Totals(const Napi::CallbackInfo& info) {
    if (exclusive_.busy) throw Napi::Error::New(info.Env(), "the stream is busy");
    const StreamTotals& totals = exclusive_.stream->totals();
    Napi::Object out = Napi::Object::New(info.Env());
    out.Set("groups", static_cast<double>(totals.groups));
    out.Set("records", static_cast<double>(totals.records));
    out.Set("bytes", static_cast<double>(totals.bytes));
    out.Set("position", static_cast<double>(totals.position));
    out.Set("digest", FromDigest(info.Env(), exclusive_.stream->total_digest()));
    return out;
  }

  Napi::Value Taken(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(exclusive_.stream->taken()));
  }

  Napi::Value Cancel(const Napi::CallbackInfo& info) {
    exclusive_.stream->Cancel();
    return info.Env().Undefined();
  }

  Exclusive<RecordWriter> exclusive_;
};

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
    out.Set("groupNumber", static_cast<double>(result.group.number));
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

class ExtentSetObject : public Napi::ObjectWrap<ExtentSetObject> {
 public:
  explicit ExtentSetObject(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<ExtentSetObject>(info) {}

  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "ExtentSet", {InstanceMethod("add", &ExtentSetObject::Add)});
  }

 private:
  // add(operations) -> those parts of them that were not in the set before.
  Napi::Value Add(const Napi::CallbackInfo& info) {
    std::vector<Operation> fresh;
    for (const Operation& operation : OperationsOf(info[0])) {
      for (const Extent& part : set_.Add({operation.offset, operation.length})) {
        fresh.push_back(
            {part.offset, part.length, operation.slab_position + (part.offset - operation.offset)});
      }
    }
    if (set_.crowded()) {
      const char* why = "too many scattered places smaller than a page";
      throw ToError(info.Env(), Status::Corrupt(0, why));
    }
    return FromOperations(info.Env(), fresh);
  }

  ExtentSet set_;
};

// scanMarks(fd, offset, streamTag) -> Promise<{ any, endSeen, highestDurable or -1 }>
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
    out.Set("any", scan->any);
    out.Set("endSeen", scan->end_seen);
    out.Set("highestDurable", MarkNumber(scan->highest_durable));
    return out;
  };
  return DataOf(info.Env()).pool.Submit(std::move(job));
}

// The bytes of a descriptor, in order.
class InputStreamObject : public Napi::ObjectWrap<InputStreamObject> {
 public:
  explicit InputStreamObject(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<InputStreamObject>(info),
        fd_(static_cast<int>(WholeNumber(info[0], "fd"))) {}

  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "InputStream",
                       {InstanceMethod("read", &InputStreamObject::Read),
                        InstanceMethod("cancel", &InputStreamObject::Cancel)});
  }

 private:
  // read(arrayBuffer) -> Promise<number of bytes>, 0 only at the end.
  Napi::Value Read(const Napi::CallbackInfo& info) {
    const std::span<std::byte> into = BytesOf(info[0]);
    auto count = std::make_shared<size_t>();
    auto job = std::make_unique<Job>(info.Env());
    job->keep.push_back(Keep(info[0]));
    job->keep.push_back(Keep(info.This()));
    job->work = [fd = fd_, cancellation = cancellation_, into, count] {
      return ReadSome(TheSyscalls(), fd, *cancellation, into, count.get());
    };
    job->result = [count](Napi::Env env) -> Napi::Value {
      return Napi::Number::New(env, static_cast<double>(*count));
    };
    return DataOf(info.Env()).pool.Submit(std::move(job));
  }

  Napi::Value Cancel(const Napi::CallbackInfo& info) {
    cancellation_->Cancel();
    return info.Env().Undefined();
  }

  int fd_;
  std::shared_ptr<Cancellation> cancellation_ = std::make_shared<Cancellation>();
};

class Xxh32Object : public Napi::ObjectWrap<Xxh32Object> {
 public:
  explicit Xxh32Object(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Xxh32Object>(info) {}

  static Napi::Function Define(Napi::Env env) {
    return DefineClass(
        env, "Xxh32",
        {InstanceMethod("update", &Xxh32Object::Update), InstanceMethod("sum", &Xxh32Object::Sum)});
  }

 private:
  Napi::Value Update(const Napi::CallbackInfo& info) {
    sum_.Update(BytesOf(info[0]));
    return info.This();
  }

  Napi::Value Sum(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), sum_.Sum());
  }

  Xxh32 sum_;
};

// encodeFrame(type, payload) -> Buffer
Napi::Value EncodeFrameBytes(const Napi::CallbackInfo& info) {
  const auto type = static_cast<uint8_t>(WholeNumber(info[0], "type"));
  const std::span<std::byte> payload = BytesOf(info[1]);
  if (payload.size() > kMaxPayloadWords * 2) {
    throw Napi::RangeError::New(info.Env(), "the frame is too long");
  }
  const std::vector<std::byte> bytes = EncodeFrame(type, payload);
  return CopyBytes(info.Env(), bytes.data(), bytes.size());
}

// readInBulk(fd, arrayBuffer) -> Promise<number of bytes>, fewer than fit only at the end of input.
Napi::Value ReadBulk(const Napi::CallbackInfo& info) {
  const auto fd = static_cast<int>(WholeNumber(info[0], "fd"));
  const std::span<std::byte> into = BytesOf(info[1]);
  auto count = std::make_shared<size_t>();
  auto job = std::make_unique<Job>(info.Env());
  job->keep.push_back(Keep(info[1]));
  job->work = [fd, into, count] {
    return ReadInBulk(TheSyscalls(), fd, Cancellation(), into, count.get());
  };
  job->result = [count](Napi::Env env) -> Napi::Value {
    return Napi::Number::New(env, static_cast<double>(*count));
  };
  return DataOf(info.Env()).pool.Submit(std::move(job));
}

}  // namespace

void InitStreams(Napi::Env env, Napi::Object exports) {
  exports.Set("RecordWriter", RecordWriterObject::Define(env));
  exports.Set("RecordReader", RecordReaderObject::Define(env));
  exports.Set("ExtentSet", ExtentSetObject::Define(env));
  exports.Set("InputStream", InputStreamObject::Define(env));
  exports.Set("Xxh32", Xxh32Object::Define(env));
  exports.Set("encodeFrame", Napi::Function::New(env, EncodeFrameBytes, "encodeFrame"));
  exports.Set("readInBulk", Napi::Function::New(env, ReadBulk, "readInBulk"));
  exports.Set("scanMarks", Napi::Function::New(env, ScanMarksFrom, "scanMarks"));
}

}  // namespace lvmsync
