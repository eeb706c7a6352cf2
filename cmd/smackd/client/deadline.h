// Blocking calls that may hang (Kerberos with a silent KDC) with a deadline, for the command-line process.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>

#include "core/callback.h"
#include "core/result.h"
#include "core/units.h"

namespace smackd::cmd {

/// Runs `work` on a thread of its own and waits at most `limit`; then kTimeout naming `what`. The thread is
/// left behind in that case (libkrb5 cannot be interrupted): the caller is a process that ends soon, and
/// `work` must own what it uses.
template <class T>
core::Result<T> run_with_deadline(core::Duration limit, std::string_view what,
                                  core::Callback<core::Result<T>()> work) {
    struct Shared {  // shared with a thread that may outlive this call
        std::mutex mutex;
        std::condition_variable ready;
        std::optional<core::Result<T>> result;
    };
    auto shared = std::make_shared<Shared>();
    std::thread([shared, work = std::move(work)]() mutable {
        core::Result<T> result = work();
        std::lock_guard lock(shared->mutex);
        shared->result.emplace(std::move(result));
        shared->ready.notify_one();
    }).detach();
    std::unique_lock lock(shared->mutex);
    if (!shared->ready.wait_for(lock, limit, [&] { return shared->result.has_value(); })) {
        return core::fail(core::Errc::kTimeout, "{} took longer than {}; is the KDC reachable?", what,
                          core::format_duration(limit));
    }
    return std::move(*shared->result);
}

}  // namespace smackd::cmd
