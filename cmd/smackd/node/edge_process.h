// The edge of this node: `smackd edge`, told its table over a socket, started anew when it dies. It outlives
// the daemon: the next one finds it by its socket and tells it what has changed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/logger.h"
#include "net/frame_channel.h"
#include "net/loop.h"
#include "services/apps/edge_table.h"

namespace smackd::cmd {

/// The child's own user and group.
inline constexpr uint32_t kEdgeUid = 64089;
/// How long it has to end its connections when the demo stops.
inline constexpr core::Duration kEdgeEndLimit = core::milliseconds(500);
/// After the child has died.
inline constexpr core::Duration kEdgeRestart = core::milliseconds(200);

struct EdgeSetup {
    bool enabled = true;
    std::vector<std::string> dns_listeners;   ///< "127.0.0.1:5053"; the bridge's gateway is added
    std::vector<std::string> http_listeners;  ///< of the external group
    std::vector<std::string> https_listeners;
    std::vector<std::string> bind_addresses;  ///< IPs for service ports besides the gateway's
    std::vector<std::string> api_hosts;
    std::string token_issuer;
};

class EdgeProcess final : private net::FrameChannel::Handler {
 public:
    /// Loop thread, as everything here. `binary`: of smackd. `root`: an empty folder that the
    /// child sees nothing but. `socket`: path by which it is found, at most 107 bytes.
    EdgeProcess(net::Loop& loop, std::string binary, std::string root, std::string socket,
                core::Logger logger);
    ~EdgeProcess() override;
    /// What the edge is to know from now on: sent whole the first time, then what differs.
    void update(wire::EdgeTable table);
    /// Lets go of the edge, which serves on.
    void stop();
    /// Ends it. Waits for kEdgeEndLimit at most.
    void end();

 private:
    core::Result<void> start();
    core::Result<void> spawn();
    core::Result<int> connect() const;
    void send(const wire::EdgeOrder& order);
    void on_frame(core::BytesView frame, net::FrameChannel::Descriptors& descriptors) override;
    void on_closed(const core::Error& why) override;
    void restart_later();

    net::Loop& loop_;
    std::string binary_;
    std::string root_;
    std::string socket_;
    core::Logger logger_;
    std::unique_ptr<net::FrameChannel> channel_;
    wire::EdgeTable wanted_;
    wire::EdgeTable told_;
    bool has_table_ = false;  // the child has told_
    int pid_ = 0;
    core::TimerId timer_ = 0;
    bool stopped_ = false;
};

}  // namespace smackd::cmd
