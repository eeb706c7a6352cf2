// One who is connected to a shim: requests in, answers out, on the shim's PollLoop.
#pragma once

#include <string>

#include "core/callback.h"
#include "core/result.h"
#include "core/wire/shim_state.pb.h"
#include "core/wire/task.pb.h"
#include "services/agent/descriptor.h"
#include "services/agent/frames.h"
#include "services/agent/kept_descriptors.h"
#include "services/agent/poll_loop.h"

namespace smackd::agent {

/// Answers that wait for a slow reader; beyond it the connection is closed.
inline constexpr size_t kShimOutputBytesMax = 4 << 20;
/// With so many waiting, programs' output is not read for the time being.
inline constexpr size_t kShimOutputBytesBusy = 256 << 10;

class ShimConnection {
 public:
    /// `on_request` gets each request; `on_close` once, and may destroy the connection.
    ShimConnection(PollLoop& loop, Descriptor socket,
                   core::Callback<void(const wire::ShimRequest&)> on_request,
                   core::Callback<void()> on_close);
    /// As save() left it.
    ShimConnection(PollLoop& loop, const wire::ShimClientState& state,
                   core::Callback<void(const wire::ShimRequest&)> on_request,
                   core::Callback<void()> on_close);
    ~ShimConnection();
    ShimConnection(const ShimConnection&) = delete;
    ShimConnection& operator=(const ShimConnection&) = delete;

    void send(const wire::ShimAnswer& answer);
    /// Stops or goes on reading requests, while input has nowhere to go.
    void pause_reading(bool paused);
    size_t waiting() const { return output_.size() - written_; }
    /// Called when `waiting` has fallen below kShimOutputBytesBusy.
    void set_on_drained(core::Callback<void()> on_drained) { on_drained_ = std::move(on_drained); }
    /// Writes what waits, for `limit` at most: before the shim ends.
    void flush(core::Duration limit);
    /// It has closed, and on_close comes.
    bool closed() const { return !socket_; }
    void save(wire::ShimClientState& into, KeptDescriptors& kept) const;
    /// What the process that has connected has open as `number` (O_PATH, a regular file). Only root's is
    /// taken, and only while that process lives: its number could be another's by then.
    core::Result<Descriptor> open_of_peer(uint32_t number) const;

 private:
    void ready(short events);
    void read_some();
    void write_some();
    void want();
    void close();

    PollLoop& loop_;
    Descriptor socket_;
    FrameBuffer input_;
    std::string output_;
    size_t written_ = 0;
    bool paused_ = false;
    uint64_t closing_ = 0;  // the timer that tells on_close_
    core::Callback<void(const wire::ShimRequest&)> on_request_;
    core::Callback<void()> on_close_;
    core::Callback<void()> on_drained_;
};

}  // namespace smackd::agent
