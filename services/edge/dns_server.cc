#include "services/edge/dns_server.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace smackd::edge {

using core::Bytes;
using core::BytesView;
using core::IpAddress;
using core::Result;
using namespace core::dns;

namespace {

constexpr core::Duration kSweepEvery = std::chrono::seconds(1);
constexpr uint32_t kSlip = 2;  // every second limited query is told to come by TCP, which cannot be forged

}  // namespace

void apply_change(Zone& zone, ZoneChange change) {
    zone.set(change.owner, std::move(change.records));
    zone.set_source(change.owner, std::move(change.sources), change.tenant);
}

class DnsServer::UdpListener final : public net::BatchUdpSocket::Receiver {
 public:
    UdpListener(DnsServer& server, uint64_t number) : server_(server), number_(number) {
        server_.udp_by_number_.emplace(number_, this);
    }
    ~UdpListener() override { server_.udp_by_number_.erase(number_); }
    UdpListener(const UdpListener&) = delete;
    UdpListener& operator=(const UdpListener&) = delete;

    Result<void> adopt(int descriptor) {
        TRY_ASSIGN(socket_, net::BatchUdpSocket::adopt(server_.loop_, descriptor, *this));
        return {};
    }
    void on_datagram(const sockaddr* from, BytesView bytes) override {
        server_.answer_udp(*this, from, bytes);
    }
    void on_receive_error(const core::Error&) override {}  // a client that has gone (ICMP)
    net::BatchUdpSocket& socket() { return *socket_; }
    uint64_t number() const { return number_; }

 private:
    DnsServer& server_;
    uint64_t number_;
    std::unique_ptr<net::BatchUdpSocket> socket_;
};

/// A client's TCP connection (RFC 7766): queries may come before answers, and answers in another order.
class DnsServer::Connection final : public net::Duplex::Handler {
 public:
    Connection(DnsServer& server, uint64_t number, const IpAddress& source,
               std::unique_ptr<net::Duplex> duplex)
        : server_(server), number_(number), source_(source), duplex_(std::move(duplex)) {
        touch();
    }
    ~Connection() override {
        auto found = server_.per_source_.find(source_);
        if (--found->second == 0) server_.per_source_.erase(found);
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    void start() { duplex_->start(*this); }
    void on_bytes(BytesView bytes) override {
        touch();
        in_ += bytes;
        size_t at = 0;
        while (in_.size() - at >= 2) {
            const size_t size = read_u16(in_, at);
            if (in_.size() - at - 2 < size) break;
            if (!answer(BytesView(in_).substr(at + 2, size))) return close();
            at += 2 + size;
        }
        in_.erase(0, at);
        if (!send()) close();
    }
    void on_end() override {
        ended_ = true;
        if (idle()) close();
    }
    void on_drained() override {
        if (ended_ && idle()) close();
    }
    void on_failed(const core::Error&) override { close(); }
    void deliver(BytesView reply) {
        --waiting_;
        append(reply);
        if (!send() || (ended_ && idle())) close();
    }
    bool idle() const { return waiting_ == 0 && duplex_->queued() == 0; }
    bool expired() const { return server_.loop_.now() >= deadline_; }
    void close() { server_.connections_.erase(number_); }

 private:
    void touch() { deadline_ = server_.loop_.now() + server_.limits_.tcp_idle; }
    bool answer(BytesView packet);
    void append(BytesView message) {
        const size_t at = out_.size();
        out_.resize(at + 2);
        write_u16(out_.data() + at, static_cast<uint16_t>(message.size()));
        out_ += message;
    }
    bool send() {
        if (out_.empty()) return true;
        const bool sent = duplex_->write(out_);
        out_.clear();
        return sent && duplex_->queued() <= server_.limits_.tcp_queued_bytes;
    }
    bool forward(BytesView packet);

    DnsServer& server_;
    uint64_t number_;
    IpAddress source_;
    std::unique_ptr<net::Duplex> duplex_;
    Bytes in_;
    Bytes out_;
    size_t waiting_ = 0;
    bool ended_ = false;
    core::Instant deadline_;
};

// False: close the connection.
bool DnsServer::Connection::answer(BytesView packet) {
    count(server_.counters_.queries);
    count(server_.counters_.tcp_queries);
    Query& query = server_.query_;
    if (!query.parse(packet)) {
        count(server_.counters_.malformed);
        return false;
    }
    const AnswerRules rules{server_.zone_->tenant_of(source_), kMessageBytesMax, server_.rotation_++};
    const Answer made = core::dns::answer(*server_.zone_, query, rules, server_.tcp_room_);
    if (made.whose == Whose::kForeign) return forward(packet);
    server_.note(made.rcode);
    append({server_.tcp_room_.data(), made.bytes});
    return true;
}

bool DnsServer::Connection::forward(BytesView packet) {
    std::array<char, kUdpBytesPlain> room{};
    if (!server_.may_forward(server_.query_)) {
        server_.note(kRefused);
        append({room.data(), refuse(server_.query_, kRefused, server_.zone_->recursion, room)});
        return true;
    }
    if (waiting_ >= server_.limits_.tcp_queries_waiting) return false;
    ++waiting_;
    auto asked = std::make_unique<ForwardedQuery>();
    asked->packet = packet;
    asked->query.parse(asked->packet);
    asked->source = source_;
    asked->tcp = true;
    asked->bytes_max = kMessageBytesMax;
    asked->done = [self = server_.self_, number = number_](const ForwardedQuery& query, BytesView reply) {
        // Not at once: an answer from the cache would come while the buffer is being read.
        Bytes copy(reply);
        if (copy.empty()) {
            copy.resize(kUdpBytesPlain);
            copy.resize(refuse(query.query, kServerFailure, true, copy));
        }
        if (*self == nullptr) return;
        (*self)->loop_.post(
            [self, number, answer = std::move(copy)] {
                DnsServer* server = *self;
                if (server == nullptr) return;
                auto found = server->connections_.find(number);
                if (found != server->connections_.end()) found->second->deliver(answer);
            },
            "dns reply");
    };
    server_.forwarder_.ask(std::move(asked));
    return true;
}

DnsServer::DnsServer(net::Loop& loop, core::Random& random, DnsCounters& counters, DnsLimits limits)
    : loop_(loop),
      counters_(counters),
      limits_(limits),
      forwarder_(loop, buffer_, random, counters),
      rate_(limits.queries_per_source_s),
      zone_(std::make_unique<Zone>()) {}

DnsServer::~DnsServer() {
    *self_ = nullptr;
    loop_.cancel(timer_);
    forwarder_.set_servers({});
    connections_.clear();
}

void DnsServer::set_zone(std::unique_ptr<Zone> zone) {
    zone->recursion = forwarder_.has_servers();
    zone_ = std::move(zone);
}

void DnsServer::change(std::vector<ZoneChange> changes, uint32_t serial) {
    for (ZoneChange& one : changes) apply_change(*zone_, std::move(one));
    zone_->authority.serial = serial;
}

void DnsServer::set_forwarders(std::vector<net::Address> servers) {
    forwarder_.set_servers(std::move(servers));
    zone_->recursion = forwarder_.has_servers();
}

void DnsServer::set_rate(uint32_t queries_per_source_s) {
    rate_ = RateLimit(queries_per_source_s == 0 ? limits_.queries_per_source_s : queries_per_source_s);
}

Result<void> DnsServer::add_udp(const std::string& name, int descriptor) {
    auto listener = std::make_unique<UdpListener>(*this, ++last_number_);
    TRY(listener->adopt(descriptor));
    udp_.insert_or_assign(name, std::move(listener));
    return {};
}

Result<void> DnsServer::add_tcp(const std::string& name, int descriptor) {
    auto on_accepted = [this](std::unique_ptr<net::Accepted> accepted) { accept(std::move(accepted)); };
    TRY_ASSIGN(auto acceptor, net::Acceptor::adopt(loop_, descriptor, on_accepted));
    tcp_.insert_or_assign(name, std::move(acceptor));
    return {};
}

void DnsServer::remove_listener(const std::string& name) {
    udp_.erase(name);
    tcp_.erase(name);
}

void DnsServer::drain() {
    udp_.clear();
    tcp_.clear();
}

IpAddress DnsServer::source_of(const sockaddr* from) const {
    if (from->sa_family == AF_INET) {
        const auto& address = reinterpret_cast<const sockaddr_in*>(from)->sin_addr;
        return IpAddress::from_bytes({reinterpret_cast<const char*>(&address), 4});
    }
    const auto& address = reinterpret_cast<const sockaddr_in6*>(from)->sin6_addr;
    return IpAddress::from_bytes({reinterpret_cast<const char*>(&address), 16});
}

void DnsServer::note(Rcode rcode) {
    if (rcode == kNameError) count(counters_.nxdomain);
    if (rcode == kRefused) count(counters_.refused);
}

bool DnsServer::may_forward(const Query& query) const {
    return forwarder_.has_servers() && (query.flags & kFlagRecursionDesired) != 0 &&
           query.type != kTypeAxfr && query.type != kTypeIxfr;
}

void DnsServer::answer_udp(UdpListener& listener, const sockaddr* from, BytesView packet) {
    count(counters_.queries);
    if (!query_.parse(packet)) return count(counters_.malformed);
    const IpAddress source = source_of(from);
    net::BatchUdpSocket& socket = listener.socket();
    if (!source.is_loopback() && !rate_.allow(source, loop_.now())) {
        count(counters_.limited);
        if (++limited_ % kSlip == 0) socket.send(truncate(query_, zone_->recursion, socket.room()), from);
        return;
    }
    const AnswerRules rules{zone_->tenant_of(source), query_.udp_bytes, rotation_++};
    const Answer made = core::dns::answer(*zone_, query_, rules, socket.room());
    if (made.whose == Whose::kForeign) return forward_udp(listener, from, packet);
    note(made.rcode);
    socket.send(made.bytes, from);
}

void DnsServer::forward_udp(UdpListener& listener, const sockaddr* from, BytesView packet) {
    net::BatchUdpSocket& socket = listener.socket();
    if (!may_forward(query_)) {
        note(kRefused);
        return socket.send(refuse(query_, kRefused, zone_->recursion, socket.room()), from);
    }
    auto asked = std::make_unique<ForwardedQuery>();
    asked->packet = packet;
    asked->query.parse(asked->packet);
    asked->source = source_of(from);
    asked->bytes_max = asked->query.udp_bytes;
    sockaddr_storage to{};
    std::memcpy(&to, from, from->sa_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in));
    asked->done = [this, number = listener.number(), to](const ForwardedQuery& query, BytesView reply) {
        auto found = udp_by_number_.find(number);
        if (found == udp_by_number_.end()) return;
        net::BatchUdpSocket& back = found->second->socket();
        size_t size = std::min(reply.size(), back.room().size());
        std::ranges::copy(reply.substr(0, size), back.room().begin());
        if (size == 0) size = refuse(query.query, kServerFailure, true, back.room());
        back.send(size, reinterpret_cast<const sockaddr*>(&to));
        back.flush();
    };
    forwarder_.ask(std::move(asked));
}

void DnsServer::accept(std::unique_ptr<net::Accepted> accepted) {
    const IpAddress source = source_of(accepted->peer().raw());
    size_t& of_source = per_source_[source];
    const bool local = source.is_loopback();
    if (connections_.size() >= limits_.tcp_connections ||
        (!local && of_source >= limits_.tcp_connections_per_source)) {
        if (of_source == 0) per_source_.erase(source);
        return count(counters_.limited);
    }
    ++of_source;
    const uint64_t number = ++last_number_;
    auto connection = std::make_unique<Connection>(*this, number, source, accepted->to_duplex(buffer_));
    Connection& made = *connections_.emplace(number, std::move(connection)).first->second;
    made.start();
    if (timer_ == 0) timer_ = loop_.start(kSweepEvery, [this] { sweep(); }, "dns sweep");
}

void DnsServer::sweep() {
    timer_ = 0;
    std::erase_if(connections_, [](const auto& entry) { return entry.second->expired(); });
    if (!connections_.empty()) timer_ = loop_.start(kSweepEvery, [this] { sweep(); }, "dns sweep");
}

}  // namespace smackd::edge
