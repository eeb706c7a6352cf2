// The listening sockets of the edge. The daemon makes them and keeps a copy of each, so that an edge that
// dies or is replaced loses no connection that waits: the kernel queues them until the next edge has the same
// sockets.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/logger.h"
#include "core/wire/edge.pb.h"
#include "net/frame_channel.h"

namespace smackd::cmd {

class EdgeListeners {
 public:
    explicit EdgeListeners(core::Logger logger) : logger_(std::move(logger)) {}
    ~EdgeListeners() { close_all(); }
    EdgeListeners(const EdgeListeners&) = delete;
    EdgeListeners& operator=(const EdgeListeners&) = delete;

    /// Takes over descriptors that an edge gives back.
    void take(const wire::EdgeListeners& given, net::FrameChannel::Descriptors& descriptors);

    struct Order {
        wire::EdgeOrder order;
        std::vector<int> descriptors;  ///< stay ours
    };
    /// What is wanted and not open at the edge, opened where nobody has; all others are closed. In messages
    /// of bounded size; none when nothing is missing.
    std::vector<Order> answer(const wire::EdgeListenRequest& request);
    void close_all();
    size_t size() const { return open_.size(); }

 private:
    using Key = std::pair<int, std::string>;  // kind, address
    core::Result<int> descriptor_of(const wire::EdgeListener& listener);
    void drop_unwanted(const wire::EdgeListenRequest& request);

    core::Logger logger_;
    std::map<Key, int> open_;
    std::set<Key> refused_;  // told of already
};

}  // namespace smackd::cmd
