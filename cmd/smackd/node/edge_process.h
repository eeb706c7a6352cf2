// The edge of this node: `smackd edge`, told its table over a socket, started anew when it dies. It outlives
// the daemon: the next one finds it by its socket, takes copies of its listeners back and tells it what has
// changed; when that one is another build, it starts its own edge with the same listeners and lets the old
// one drain.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cmd/smackd/node/edge_listeners.h"
#include "core/logger.h"
#include "net/frame_channel.h"
#include "net/loop.h"
#include "net/scope.h"
#include "net/sync.h"
#include "services/apps/edge_table.h"

namespace smackd::cmd {

/// The child's own user and group.
inline constexpr uint32_t kEdgeUid = 64089;
/// How long it has to end its connections when the demo stops.
inline constexpr core::Duration kEdgeEndLimit = core::milliseconds(500);
/// After a child that died sooner than kEdgeSound after its start; another one is replaced at once.
inline constexpr core::Duration kEdgeRestart = core::milliseconds(200);
inline constexpr core::Duration kEdgeSound = core::seconds(5);
/// How long a task that is to end waits for what is in hand for it: requests, connections, tunnels.
inline constexpr core::Duration kEdgeReleaseLimit = core::seconds(10);

class EdgeProcess final {
 public:
    /// Loop thread, as everything here. `binary`: of smackd. `root`: an empty folder that the
    /// child sees nothing but. `socket`: path by which it is found, at most 107 bytes.
    EdgeProcess(net::Loop& loop, std::string binary, std::string root, std::string socket,
                core::Logger logger);
    ~EdgeProcess();
    EdgeProcess(const EdgeProcess&) = delete;
    EdgeProcess& operator=(const EdgeProcess&) = delete;

    /// What the edge is to know from now on: sent whole the first time, then what differs.
    void update(wire::EdgeTable table);
    /// Returns when the edge has nothing in hand for the task any more, which the last table told it to send
    /// nothing new; at the latest after kEdgeReleaseLimit, or with the reason of cancellation.
    net::Task<core::Result<void>> release(std::string task);
    /// Lets go of the edge, which serves on. Nobody waits in release() any more.
    void stop();
    /// Ends it. Waits for kEdgeEndLimit at most.
    void end();

 private:
    /// The socket to one edge.
    struct Link final : net::FrameChannel::Handler {
        Link(EdgeProcess& owner, bool found) : owner(owner), found(found) {}
        void on_frame(core::BytesView frame, net::FrameChannel::Descriptors& descriptors) override {
            owner.on_frame(*this, frame, descriptors);
        }
        void on_closed(const core::Error& why) override { owner.on_closed(*this, why); }
        void send(const wire::EdgeOrder& order, std::span<const int> descriptors = {}) {
            channel->send(order.SerializeAsString(), descriptors);
        }

        EdgeProcess& owner;
        std::unique_ptr<net::FrameChannel> channel;
        bool found;          ///< it served before us
        bool other = false;  ///< it is another build
        bool handing_back = false;
        bool ready = false;  ///< for the table
        int pid = 0;
        core::Instant since;
    };

    core::Result<void> start(bool fresh);
    core::Result<void> spawn();
    void on_frame(Link& link, core::BytesView frame, net::FrameChannel::Descriptors& descriptors);
    void on_hello(Link& link, int pid);
    void on_given_back(Link& link, const wire::EdgeListeners& given,
                       net::FrameChannel::Descriptors& descriptors);
    void on_listen(const wire::EdgeListenRequest& request);
    void on_refused(Link& link, const wire::EdgeRefused& refused);
    void on_closed(Link& link, const core::Error& why);
    void replace();
    void let_leave();
    void tell_whole();
    void ask_release(const std::string& task);
    net::Task<core::Result<void>> await_release(std::shared_ptr<net::Event> event);
    void restart_later(core::Duration pause);
    void discard(std::unique_ptr<Link> link);
    void reap();
    void release_all();

    net::Loop& loop_;
    std::string binary_;
    std::string root_;
    std::string socket_;
    core::Logger logger_;
    EdgeListeners listeners_;
    std::unique_ptr<Link> edge_;
    std::unique_ptr<Link> leaving_;  // drains once edge_ has all listeners
    wire::EdgeTable wanted_;
    wire::EdgeTable told_;
    uint64_t orders_ = 0;                                          // number of the last one
    bool has_table_ = false;                                       // edge_ has told_
    int spawned_ = 0;                                              // the last child
    std::map<std::string, std::shared_ptr<net::Event>> releases_;  // by task
    net::Event alone_;                                             // no edge is leaving
    core::TimerId timer_ = 0;
    core::TimerId reap_timer_ = 0;
    std::vector<int> ended_;  // perhaps children of ours, to be waited for
    bool stopped_ = false;
};

}  // namespace smackd::cmd
