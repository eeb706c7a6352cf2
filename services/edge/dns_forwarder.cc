#include "services/edge/dns_forwarder.h"

#include <algorithm>
#include <array>

namespace smackd::edge {

using core::BytesView;
using core::dns::Query;

namespace {

constexpr core::Duration kSweepEvery = std::chrono::milliseconds(100);
constexpr core::Duration kTcpPatience = std::chrono::seconds(5);

uint64_t waiting_key(uint64_t socket, uint16_t id) {
    return (socket << 16) | id;
}

}  // namespace

/// One source port towards one server.
class DnsForwarder::Socket final : public net::BatchUdpSocket::Receiver {
 public:
    Socket(DnsForwarder& owner, uint64_t number) : owner_(owner), number_(number) {}
    bool open(const net::Address& to) {
        auto made = net::BatchUdpSocket::connect(owner_.loop_, to, *this);
        if (made) udp_ = std::move(*made);
        return made.has_value();
    }
    void send(BytesView query) {
        std::ranges::copy(query, udp_->room().begin());
        udp_->send(query.size(), nullptr);
        ++queries;
        ++waiting;
    }
    void on_datagram(const sockaddr*, BytesView bytes) override { owner_.on_reply(number_, bytes); }
    void on_receive_error(const core::Error&) override {}  // refused: the next attempt comes by its time
    uint64_t number() const { return number_; }

    uint32_t queries = 0;
    uint32_t waiting = 0;

 private:
    DnsForwarder& owner_;
    uint64_t number_;
    std::unique_ptr<net::BatchUdpSocket> udp_;
};

/// One question over TCP.
class DnsForwarder::TcpQuery final : public net::Duplex::Handler {
 public:
    TcpQuery(DnsForwarder& owner, Key key) : owner_(owner), key_(key) { ++owner_.tcp_connections_; }
    ~TcpQuery() override { --owner_.tcp_connections_; }
    TcpQuery(const TcpQuery&) = delete;
    TcpQuery& operator=(const TcpQuery&) = delete;

    void start(const net::Address& to, BytesView query) {
        std::array<char, 2> size{};
        core::dns::write_u16(size.data(), static_cast<uint16_t>(query.size()));
        duplex_ = net::connect_duplex(owner_.loop_, owner_.buffer_, to, *this);
        const std::array<BytesView, 2> pieces = {BytesView(size.data(), 2), query};
        // It cannot fail before it is connected.
        static_cast<void>(duplex_->write(pieces));
    }
    void on_bytes(BytesView bytes) override {
        in_ += bytes;
        if (in_.size() < 2) return;
        const size_t size = core::dns::read_u16(in_, 0);
        if (in_.size() < 2 + size) return;
        owner_.on_tcp_reply(key_, BytesView(in_).substr(2, size));
    }
    void on_end() override { owner_.next_attempt(key_); }
    void on_failed(const core::Error&) override { owner_.next_attempt(key_); }

 private:
    DnsForwarder& owner_;
    Key key_;
    std::unique_ptr<net::Duplex> duplex_;
    core::Bytes in_;
};

DnsForwarder::DnsForwarder(net::Loop& loop, net::SharedBuffer& buffer, core::Random& random,
                           DnsCounters& counters, ForwarderLimits limits)
    : loop_(loop),
      buffer_(buffer),
      random_(random),
      counters_(counters),
      limits_(limits),
      cache_(limits.cache_bytes) {}

DnsForwarder::~DnsForwarder() {
    loop_.cancel(timer_);
}

void DnsForwarder::set_servers(std::vector<net::Address> servers) {
    while (!pending_.empty()) finish(pending_.begin()->first, {});
    sockets_.clear();
    servers_ = std::move(servers);
    sockets_.resize(servers_.size());
    preferred_ = 0;
    cache_.clear();
}

void DnsForwarder::ask(std::unique_ptr<ForwardedQuery> query) {
    if (auto cached = cache_.find(query->query, loop_.now())) {
        count(counters_.cache_hits);
        return query->done(*query, core::dns::incoming_reply(query->query, *cached, query->bytes_max));
    }
    size_t& of_source = per_source_[query->source];
    if (servers_.empty() || pending_.size() >= limits_.in_flight ||
        of_source >= limits_.in_flight_per_source) {
        if (of_source == 0) per_source_.erase(query->source);
        count(counters_.forward_failed);
        return query->done(*query, {});
    }
    ++of_source;
    count(counters_.forwarded);
    const Key key = ++last_key_;
    Pending& pending = pending_[key];
    pending.query = std::move(query);
    pending.server = preferred_;
    attempt(key);
    arm();
}

void DnsForwarder::attempt(Key key) {
    Pending& pending = pending_.at(key);
    ++pending.attempt;
    pending.deadline = loop_.now() + (pending.query->tcp ? kTcpPatience : limits_.patience);
    if (pending.query->tcp) return attempt_tcp(key, pending);
    if (!send_udp(key, pending)) pending.deadline = loop_.now();  // the sweep tries the next server
}

void DnsForwarder::attempt_tcp(Key key, Pending& pending) {
    if (tcp_connections_ >= limits_.tcp_connections) return finish(key, {});
    const auto id = static_cast<uint16_t>(random_.next());
    pending.sent = core::dns::outgoing_query(pending.query->query, id, random_);
    pending.tcp = std::make_unique<TcpQuery>(*this, key);
    pending.tcp->start(servers_[pending.server], pending.sent);
}

DnsForwarder::Socket* DnsForwarder::socket_for(size_t server) {
    auto& sockets = sockets_[server];
    const size_t index = random_.below(limits_.sockets_per_server);
    if (index >= sockets.size()) {
        sockets.push_back(std::make_unique<Socket>(*this, ++last_socket_));
        if (sockets.back()->open(servers_[server])) return sockets.back().get();
        sockets.pop_back();
        return nullptr;
    }
    auto& socket = sockets[index];
    if (socket->queries >= limits_.queries_per_socket && socket->waiting == 0) {
        auto fresh = std::make_unique<Socket>(*this, ++last_socket_);
        if (!fresh->open(servers_[server])) return nullptr;
        socket = std::move(fresh);
    }
    return socket.get();
}

bool DnsForwarder::send_udp(Key key, Pending& pending) {
    Socket* socket = socket_for(pending.server);
    if (socket == nullptr) return false;
    uint16_t id = 0;
    do {
        id = static_cast<uint16_t>(random_.next());
    } while (waiting_.contains(waiting_key(socket->number(), id)));
    pending.sent = core::dns::outgoing_query(pending.query->query, id, random_);
    waiting_.emplace(waiting_key(socket->number(), id), key);
    socket->send(pending.sent);
    return true;
}

void DnsForwarder::on_reply(uint64_t socket, BytesView reply) {
    if (reply.size() < core::dns::kHeaderBytes) return;
    auto waiting = waiting_.find(waiting_key(socket, core::dns::read_u16(reply, 0)));
    if (waiting == waiting_.end()) return;  // late, or forged
    const Key key = waiting->second;
    Pending& pending = pending_.at(key);
    if (!core::dns::answers(reply, pending.sent)) return;
    const uint16_t rcode = core::dns::read_u16(reply, 2) & 15;
    const bool useless = rcode == core::dns::kServerFailure || rcode == core::dns::kRefused;
    if (useless && pending.attempt < limits_.attempts && servers_.size() > 1) return next_attempt(key);
    preferred_ = pending.server;
    cache_.put(pending.query->query, reply, loop_.now());
    finish(key, reply);
}

void DnsForwarder::on_tcp_reply(Key key, BytesView reply) {
    const Pending& pending = pending_.at(key);
    if (!core::dns::answers(reply, pending.sent)) return next_attempt(key);
    finish(key, core::Bytes(reply));  // a copy: finishing destroys the connection whose buffer it is
}

void DnsForwarder::next_attempt(Key key) {
    Pending& pending = pending_.at(key);
    forget(key, pending);
    if (pending.attempt >= limits_.attempts) return finish(key, {});
    pending.server = (pending.server + 1) % servers_.size();
    pending.tcp.reset();
    attempt(key);
}

/// A reply to what was sent is from now on late.
void DnsForwarder::forget(Key key, const Pending& pending) {
    if (pending.sent.empty() || pending.tcp != nullptr) return;
    const uint16_t id = core::dns::read_u16(pending.sent, 0);
    for (const auto& socket : sockets_[pending.server]) {
        auto waiting = waiting_.find(waiting_key(socket->number(), id));
        if (waiting == waiting_.end() || waiting->second != key) continue;
        waiting_.erase(waiting);
        --socket->waiting;
        return;
    }
}

void DnsForwarder::finish(Key key, BytesView reply) {
    auto node = pending_.extract(key);
    Pending& pending = node.mapped();
    forget(key, pending);
    auto of_source = per_source_.find(pending.query->source);
    if (--of_source->second == 0) per_source_.erase(of_source);
    if (reply.empty()) count(counters_.forward_failed);
    const ForwardedQuery& query = *pending.query;
    query.done(query, reply.empty() ? core::Bytes()
                                    : core::dns::incoming_reply(query.query, reply, query.bytes_max));
}

void DnsForwarder::arm() {
    if (timer_ != 0 || pending_.empty()) return;
    timer_ = loop_.start(kSweepEvery, [this] { sweep(); }, "dns forwarder");
}

void DnsForwarder::sweep() {
    timer_ = 0;
    std::vector<Key> late;
    for (const auto& [key, pending] : pending_) {
        if (loop_.now() >= pending.deadline) late.push_back(key);
    }
    for (Key key : late) {
        if (pending_.contains(key)) next_attempt(key);
    }
    arm();
}

}  // namespace smackd::edge
