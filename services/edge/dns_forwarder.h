// Asks forwarders for names that are not ours: few connected sockets with random ports that are changed
// often, random ids, random case; bounded in flight.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "core/dns/forwarding.h"
#include "core/ip_address.h"
#include "net/batch_udp.h"
#include "net/duplex.h"
#include "services/edge/dns_counters.h"

namespace smackd::edge {

struct ForwarderLimits {
    size_t in_flight = 2000;
    size_t in_flight_per_source = 200;
    size_t sockets_per_server = 16;
    uint32_t queries_per_socket = 100;  ///< then it gets another port
    size_t cache_bytes = 4 * 1024 * 1024;
    size_t tcp_connections = 32;
    core::Duration patience = std::chrono::milliseconds(1500);  ///< with one server
    int attempts = 3;
};

/// A query on its way, with all that its answer needs.
struct ForwardedQuery {
    core::Bytes packet;  ///< `query` points into it
    core::dns::Query query;
    core::IpAddress source;
    size_t bytes_max = core::dns::kUdpBytesPlain;
    bool tcp = false;
    /// Takes the answer; empty when there is none (answer SERVFAIL).
    std::function<void(const ForwardedQuery&, core::BytesView reply)> done;
};

class DnsForwarder {
 public:
    DnsForwarder(net::Loop& loop, net::SharedBuffer& buffer, core::Random& random, DnsCounters& counters,
                 ForwarderLimits limits = {});
    ~DnsForwarder();
    DnsForwarder(const DnsForwarder&) = delete;
    DnsForwarder& operator=(const DnsForwarder&) = delete;

    /// Queries in flight end without an answer.
    void set_servers(std::vector<net::Address> servers);
    bool has_servers() const { return !servers_.empty(); }
    /// From the cache at once, or asked. `done` is called once, perhaps in this call.
    void ask(std::unique_ptr<ForwardedQuery> query);
    size_t in_flight() const { return pending_.size(); }

 private:
    class Socket;
    class TcpQuery;
    struct Pending {
        std::unique_ptr<ForwardedQuery> query;
        core::Bytes sent;
        int attempt = 0;
        size_t server = 0;
        std::unique_ptr<TcpQuery> tcp;
        core::Instant deadline;
    };
    using Key = uint64_t;

    void attempt(Key key);
    void attempt_tcp(Key key, Pending& pending);
    bool send_udp(Key key, Pending& pending);
    void on_reply(uint64_t socket, core::BytesView reply);
    void on_tcp_reply(Key key, core::BytesView reply);
    void next_attempt(Key key);
    void forget(Key key, const Pending& pending);
    void finish(Key key, core::BytesView reply);
    Socket* socket_for(size_t server);
    void sweep();
    void arm();

    net::Loop& loop_;
    net::SharedBuffer& buffer_;
    core::Random& random_;
    DnsCounters& counters_;
    ForwarderLimits limits_;
    std::vector<net::Address> servers_;
    std::vector<std::vector<std::unique_ptr<Socket>>> sockets_;  // by server
    std::unordered_map<Key, Pending> pending_;
    std::unordered_map<uint64_t, Key> waiting_;  // (socket number, id) -> pending
    std::unordered_map<core::IpAddress, size_t, core::IpAddressHash> per_source_;
    core::dns::ReplyCache cache_;
    size_t preferred_ = 0;
    size_t tcp_connections_ = 0;
    Key last_key_ = 0;
    uint64_t last_socket_ = 0;
    core::TimerId timer_ = 0;
};

}  // namespace smackd::edge
