// The DNS server: UDP and TCP listeners on one loop, answers from the zone, forwards the rest.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/dns/answer.h"
#include "core/dns/rate_limit.h"
#include "core/dns/zone.h"
#include "net/batch_udp.h"
#include "net/duplex.h"
#include "services/edge/dns_counters.h"
#include "services/edge/dns_forwarder.h"

namespace smackd::edge {

struct DnsLimits {
    size_t tcp_connections = 512;
    size_t tcp_connections_per_source = 64;
    size_t tcp_queries_waiting = 100;      ///< forwarded for one connection
    size_t tcp_queued_bytes = 256 * 1024;  ///< answers that a client does not read
    core::Duration tcp_idle = std::chrono::seconds(10);
    uint32_t queries_per_source_s = 10000;
};

/// What changes when one task, name or setting does.
struct ZoneChange {
    std::string owner;
    std::vector<core::dns::NamedRecord> records;
    std::vector<core::IpAddress> sources;  ///< addresses the tenant's task asks from
    core::dns::TenantId tenant = core::dns::kEverybody;
};
void apply_change(core::dns::Zone& zone, ZoneChange change);

/// Loop thread only.
class DnsServer {
 public:
    DnsServer(net::Loop& loop, core::Random& random, DnsCounters& counters, DnsLimits limits = {});
    ~DnsServer();
    DnsServer(const DnsServer&) = delete;
    DnsServer& operator=(const DnsServer&) = delete;

    void set_zone(std::unique_ptr<core::dns::Zone> zone);
    void change(std::vector<ZoneChange> changes, uint32_t serial);
    void set_forwarders(std::vector<net::Address> servers);
    void set_rate(uint32_t queries_per_source_s);
    /// Takes over a bound descriptor; `name` is for remove_listener.
    core::Result<void> add_udp(const std::string& name, int descriptor);
    core::Result<void> add_tcp(const std::string& name, int descriptor);
    void remove_listener(const std::string& name);
    /// Stops listening; connections end when their answers are sent.
    void drain();
    size_t connections() const { return connections_.size(); }

 private:
    class UdpListener;
    class Connection;
    friend class UdpListener;
    friend class Connection;

    void answer_udp(UdpListener& listener, const sockaddr* from, core::BytesView packet);
    void forward_udp(UdpListener& listener, const sockaddr* from, core::BytesView packet);
    void accept(std::unique_ptr<net::Accepted> accepted);
    void sweep();
    core::IpAddress source_of(const sockaddr* from) const;
    bool may_forward(const core::dns::Query& query) const;
    void note(core::dns::Rcode rcode);

    net::Loop& loop_;
    DnsCounters& counters_;
    DnsLimits limits_;
    net::SharedBuffer buffer_;
    DnsForwarder forwarder_;
    core::dns::RateLimit rate_;
    std::unique_ptr<core::dns::Zone> zone_;
    core::dns::Query query_;  // of the datagram in hand
    std::vector<char> tcp_room_ = std::vector<char>(core::dns::kMessageBytesMax);
    std::shared_ptr<DnsServer*> self_ =
        std::make_shared<DnsServer*>(this);  // null when gone: for what is posted
    uint32_t rotation_ = 0;
    uint32_t limited_ = 0;
    std::map<std::string, std::unique_ptr<UdpListener>> udp_;
    std::map<std::string, std::unique_ptr<net::Acceptor>> tcp_;
    std::unordered_map<uint64_t, UdpListener*> udp_by_number_;
    std::unordered_map<uint64_t, std::unique_ptr<Connection>> connections_;
    std::unordered_map<core::IpAddress, size_t, core::IpAddressHash> per_source_;
    uint64_t last_number_ = 0;
    core::TimerId timer_ = 0;
};

}  // namespace smackd::edge
