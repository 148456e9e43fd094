// Entry of the addon: its exports. Each of them converts arguments, runs one core call, on a worker
// where it may wait, and converts the outcome.
#include "addon/addon.h"

namespace lvmsync {
namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  auto* data = new AddonData(env);
  // Node deletes the instance data itself; the pool must hear of the end before that.
  env.SetInstanceData(data);
  env.AddCleanupHook([data] { data->pool.Shutdown(); });
  InitBlockFile(env, exports);
  InitControlFrame(env, exports);
  InitDeviceMapper(env, exports);
  InitEngine(env, exports);
  InitExtentSet(env, exports);
  InitInputStream(env, exports);
  InitMarkScan(env, exports);
  InitPoolBlocks(env, exports);
  InitProcess(env, exports);
  InitRecordReader(env, exports);
  InitRecordWriter(env, exports);
  InitSlab(env, exports);
  InitStore(env, exports);
  InitXxh32(env, exports);
  InitSyscalls(env, exports);
  return exports;
}

}  // namespace

AddonData& DataOf(Napi::Env env) { return *env.GetInstanceData<AddonData>(); }

NODE_API_MODULE(lvmsync, Init)

}  // namespace lvmsync
