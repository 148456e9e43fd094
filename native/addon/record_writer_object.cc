// JavaScript class RecordWriter.
#include <memory>
#include <utility>
#include <vector>

#include "addon/addon.h"
#include "addon/convert.h"
#include "addon/exclusive.h"
#include "core/stream/record_writer.h"

namespace lvmsync {
namespace {

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

}  // namespace

void InitRecordWriter(Napi::Env env, Napi::Object exports) {
  exports.Set("RecordWriter", RecordWriterObject::Define(env));
}

}  // namespace lvmsync
