// The edge's end of the socket to the daemon: takes orders, reports back. The edge goes on serving when the
// daemon is gone, and takes the orders of the next one.
#pragma once

#include <functional>
#include <memory>
#include <set>

#include "net/frame_channel.h"
#include "services/edge/control.h"

namespace smackd::edge {

struct SessionHooks {
    std::function<wire::EdgeStatistics()> statistics;
    /// Connections that are open; a drain is over when there are none.
    std::function<size_t()> connections;
    /// A drain is over: the process can end.
    std::function<void()> drained;
};

class Session final : public net::FrameChannel::Handler {
 public:
    Session(net::Loop& loop, Control& control, SessionHooks hooks, std::string version, core::Logger logger);
    ~Session() override;
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Serves a connected socket, or each that connects to a listening one; a newer one takes the older one's
    /// place. Takes over the descriptor.
    core::Result<void> serve(int descriptor);
    /// As ordered by the daemon.
    void drain();

    void on_frame(core::BytesView frame, net::FrameChannel::Descriptors& descriptors) override;
    void on_closed(const core::Error& why) override;

 private:
    core::Result<void> connect(int descriptor);
    void report(const wire::EdgeReport& report);
    void report_applied(core::Result<std::vector<std::string>> problems, uint64_t revision);
    void take_listeners(const wire::EdgeListeners& given, net::FrameChannel::Descriptors& descriptors);
    void ask_for_listeners(bool again);
    void give_listeners_back(bool leaving);
    void await_release(const std::string& task);
    void tick();
    bool drain_is_over() const;

    net::Loop& loop_;
    Control& control_;
    SessionHooks hooks_;
    std::string version_;
    core::Logger logger_;
    std::unique_ptr<net::FrameListener> listener_;
    std::unique_ptr<net::FrameChannel> channel_;
    core::TimerId timer_ = 0;
    std::set<std::string> asked_;  // listeners as the daemon knows them to be wanted
    bool leaving_ = false;         // drains when the daemon goes
    bool draining_ = false;
    core::Instant drain_until_;
    std::shared_ptr<Session*> self_ = std::make_shared<Session*>(this);  // null when gone: for what is posted
};

}  // namespace smackd::edge
