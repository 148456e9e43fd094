// The system calls of the addon's build for tests, as JavaScript steers them. They are those of the
// process: one test at a time.
#include "addon/addon.h"
#include "addon/convert.h"
#include "scripted_syscalls.h"

namespace lvmsync {
namespace {

using testing::Event;
using testing::FaultOutcome;
using testing::FaultPlan;
using testing::Flush;
using testing::Hit;
using testing::ScriptedSyscalls;

// Never destroyed: a thread may still be inside a call when the process ends.
ScriptedSyscalls& Table() {
  static auto* table = new ScriptedSyscalls;
  return *table;
}

// setFaults({ first, run, error, most }); `run` may be Infinity.
Napi::Value SetFaults(const Napi::CallbackInfo& info) {
  const auto given = info[0].As<Napi::Object>();
  FaultPlan plan;
  plan.first = WholeNumber(given.Get("first"), "first");
  const double run = given.Get("run").As<Napi::Number>().DoubleValue();
  plan.run = run > static_cast<double>(UINT32_MAX) ? UINT64_MAX : static_cast<uint64_t>(run);
  plan.error = static_cast<int>(WholeNumber(given.Get("error"), "error"));
  plan.most = static_cast<size_t>(WholeNumber(given.Get("most"), "most"));
  Table().SetFaults(plan);
  return info.Env().Undefined();
}

// takeOutcome() -> { calls, injected, hits: [{ call, path, offset }], flushes: [{ path, failed }] }
Napi::Value TakeOutcome(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const FaultOutcome outcome = Table().TakeOutcome();
  Napi::Array hits = Napi::Array::New(env);
  for (const Hit& hit : outcome.hits) {
    Napi::Object one = Napi::Object::New(env);
    one.Set("call", hit.call);
    one.Set("path", hit.path);
    one.Set("offset", static_cast<double>(hit.offset));
    hits.Set(hits.Length(), one);
  }
  Napi::Array flushes = Napi::Array::New(env);
  for (const Flush& flush : outcome.flushes) {
    Napi::Object one = Napi::Object::New(env);
    one.Set("path", flush.path);
    one.Set("failed", flush.failed);
    flushes.Set(flushes.Length(), one);
  }
  Napi::Object out = Napi::Object::New(env);
  out.Set("calls", static_cast<double>(outcome.calls));
  out.Set("injected", static_cast<double>(outcome.injected));
  out.Set("hits", hits);
  out.Set("flushes", flushes);
  return out;
}

// startRecording(dawdle in microseconds, seed)
Napi::Value StartRecording(const Napi::CallbackInfo& info) {
  Table().StartRecording(static_cast<unsigned>(WholeNumber(info[0], "dawdle")),
                         WholeNumber(info[1], "seed"));
  return info.Env().Undefined();
}

const char* NameOf(Event::Kind kind) {
  switch (kind) {
    case Event::Kind::kWrite:
      return "write";
    case Event::Kind::kWritten:
      return "written";
    case Event::Kind::kFlush:
      return "flush";
    case Event::Kind::kFlushed:
      return "flushed";
    case Event::Kind::kNote:
      break;
  }
  return "note";
}

// takeRecording() -> [{ kind, id, path, offset, bytes, result }]
Napi::Value TakeRecording(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Array events = Napi::Array::New(env);
  for (const Event& event : Table().TakeRecording()) {
    Napi::Object one = Napi::Object::New(env);
    one.Set("kind", NameOf(event.kind));
    one.Set("id", static_cast<double>(event.id));
    one.Set("path", event.path);
    one.Set("offset", static_cast<double>(event.offset));
    one.Set("bytes", CopyBytes(env, event.bytes.data(), event.bytes.size()));
    one.Set("result", static_cast<double>(event.result));
    events.Set(events.Length(), one);
  }
  return events;
}

Napi::Value Note(const Napi::CallbackInfo& info) {
  Table().Note(info[0].As<Napi::String>());
  return info.Env().Undefined();
}

}  // namespace

const Syscalls& TheSyscalls() { return Table(); }

void InitSyscalls(Napi::Env env, Napi::Object exports) {
  exports.Set("setFaults", Napi::Function::New(env, SetFaults, "setFaults"));
  exports.Set("takeOutcome", Napi::Function::New(env, TakeOutcome, "takeOutcome"));
  exports.Set("startRecording", Napi::Function::New(env, StartRecording, "startRecording"));
  exports.Set("takeRecording", Napi::Function::New(env, TakeRecording, "takeRecording"));
  exports.Set("note", Napi::Function::New(env, Note, "note"));
}

}  // namespace lvmsync
