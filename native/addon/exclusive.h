// A stream of the core in an object of JavaScript, and the rule that it does one thing at a time.
#pragma once

#include <napi.h>

#include <memory>
#include <utility>

#include "addon/addon.h"
#include "addon/worker_pool.h"

namespace lvmsync {

// Shares the stream with the job that runs; is a member of the object of JavaScript, which each job
// keeps.
template <class Stream>
struct Exclusive {
  std::shared_ptr<Stream> stream;
  bool busy = false;

  // Starts the job of a method of the object. Throws while another runs.
  Napi::Promise Run(const Napi::CallbackInfo& info, std::unique_ptr<Job> job) {
    if (busy) throw Napi::Error::New(info.Env(), "the stream is busy");
    busy = true;
    job->keep.push_back(Keep(info.This()));
    job->settled = [this] { busy = false; };
    return DataOf(info.Env()).pool.Submit(std::move(job));
  }
};

}  // namespace lvmsync
