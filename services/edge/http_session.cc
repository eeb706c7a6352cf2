#include "services/edge/http_session.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <format>
#include <optional>

namespace smackd::edge {

using core::Bytes;
using core::BytesView;
using namespace core::ingress;

namespace {

constexpr std::string_view kStickyCookie = "mesosphere_server_id";
constexpr std::string_view kLastChunk = "0\r\n\r\n";
constexpr int kInterimMax = 16;  // 1xx answers before the real one

/// "SIZE\r\n" of a chunk.
class ChunkSize {
 public:
    explicit ChunkSize(size_t size) {
        char* end = std::to_chars(text_.data(), text_.data() + 16, size, 16).ptr;
        *end++ = '\r';
        *end++ = '\n';
        size_ = static_cast<size_t>(end - text_.data());
    }
    BytesView view() const { return {text_.data(), size_}; }

 private:
    std::array<char, 20> text_{};
    size_t size_;
};

}  // namespace

/// A request with its answer.
struct HttpSession::Exchange {
    PoolPtr pool;
    PoolState* pool_state = nullptr;
    bool head_only = false;  // HEAD
    bool idempotent = false;
    bool persistent = false;  // the client goes on afterwards
    bool client_is_1_0 = false;
    bool wants_upgrade = false;
    bool set_cookie = false;
    uint32_t cookie = 0;  // of a sticky pool

    // request
    Bytes replay;            // all that has been or is to be sent, while it is small
    bool repeatable = true;  // replay is complete
    bool chunked = false;
    ChunkReader chunks;
    uint64_t body_left = 0;
    bool request_done = false;

    // backend
    std::unique_ptr<Upstream> upstream;
    bool counted = false;  // at its backend
    bool connected = false;
    bool reused = false;
    int attempts = 0;
    std::vector<BackendState*> tried;

    // answer
    Bytes response_in;  // an incomplete head
    bool response_begun = false;
    BodyFraming framing = BodyFraming::kNone;  // towards the client
    bool response_chunked = false;
    bool response_until_close = false;
    bool upstream_persistent = false;
    ChunkReader response_chunks;
    uint64_t response_left = 0;
    int interim = 0;
};

HttpSession::HttpSession(Ingress& ingress, uint64_t id, std::shared_ptr<ListenerState> listener,
                         std::unique_ptr<net::Duplex> client, std::string client_host, bool tls)
    : ingress_(ingress),
      id_(id),
      listener_(std::move(listener)),
      client_(std::move(client)),
      client_host_(std::move(client_host)),
      tls_(tls) {
    progress(ingress_.limits().head);
}

HttpSession::~HttpSession() {
    if (exchange_ == nullptr) return;
    release_upstream(false);
    if (exchange_->pool_state != nullptr) --exchange_->pool_state->counters.active;
}

void HttpSession::progress(core::Duration limit) {
    deadline_ = ingress_.loop().now() + limit;
}

// Ends everything now; the object goes in a later turn.
void HttpSession::retire() {
    if (state_ == State::kGone) return;
    state_ = State::kGone;
    if (exchange_ != nullptr) release_upstream(false);
    client_.reset();
    ingress_.retire(id_);
}

bool HttpSession::to_client(std::span<const BytesView> pieces) {
    if (!client_->write(pieces)) {
        retire();
        return false;
    }
    if (exchange_ != nullptr && exchange_->pool_state != nullptr) {
        for (BytesView piece : pieces) exchange_->pool_state->counters.bytes_out += piece.size();
    }
    return true;
}

// ---- the client's side

void HttpSession::on_bytes(BytesView bytes) {
    switch (state_) {
        case State::kHead:
            return read_heads(bytes);
        case State::kExchange: {
            progress(ingress_.limits().silence);
            size_t used = 0;
            if (in_.empty() && !exchange_->request_done) used = take_body(bytes);
            if (state_ != State::kExchange) return;
            in_.append(bytes.substr(used));
            // Requests behind this one wait; nobody may make us keep many of them.
            if (in_.size() > ingress_.limits().pipelined_bytes) client_->pause();
            return;
        }
        case State::kTunnel:
            progress(ingress_.limits().tunnel);
            exchange_->pool_state->counters.bytes_in += bytes.size();
            if (!exchange_->upstream->duplex().write(bytes)) return retire();
            if (exchange_->upstream->duplex().queued() > ingress_.limits().queued_bytes) client_->pause();
            return;
        case State::kLinger:
        case State::kGone:
            return;
    }
}

void HttpSession::on_end() {
    client_ended_ = true;
    switch (state_) {
        case State::kExchange:
            // Whoever sends a request and closes its half still wants the answer; half a request wants
            // nothing.
            if (!exchange_->request_done) retire();
            return;
        case State::kTunnel:
            return exchange_->upstream->duplex().finish();
        case State::kLinger:
            if (client_->queued() == 0) retire();
            return;
        default:
            return retire();
    }
}

void HttpSession::on_failed(const core::Error&) {
    retire();
}

void HttpSession::on_drained() {
    if (state_ == State::kLinger) {
        progress(ingress_.limits().linger);
        if (client_ended_) retire();
        return;
    }
    if (state_ == State::kGone || exchange_ == nullptr) return;
    progress(state_ == State::kTunnel ? ingress_.limits().tunnel : ingress_.limits().silence);
    if (exchange_->upstream != nullptr) exchange_->upstream->duplex().resume();
}

// Requests as far as they are there; what is left stays in in_. A loop, not a recursion: many small requests
// fit into one read.
void HttpSession::read_heads(BytesView bytes) {
    if (in_.empty()) progress(ingress_.limits().head);
    Bytes owned = std::exchange(in_, {});
    const bool buffered = !owned.empty();
    if (buffered) {
        owned += bytes;
        bytes = owned;
    }
    while (state_ == State::kHead && !bytes.empty()) {
        // Empty lines before a request are allowed (RFC 9112 section 2.2); some clients send one after a
        // body.
        while (bytes.starts_with("\r\n")) bytes.remove_prefix(2);
        RequestHead head;
        HeadFailure failure;
        const HeadState state = parse_request_head(bytes, head, failure);
        if (state == HeadState::kIncomplete) {
            if (buffered && bytes.size() == owned.size()) {
                in_ = std::move(owned);
            } else {
                in_.assign(bytes);
            }
            return;
        }
        if (state == HeadState::kFailed) {
            count(ingress_.counters().malformed);
            return answer(failure.status, failure.reason);
        }
        begin_request(head);
        bytes.remove_prefix(head.bytes);
        if (state_ == State::kExchange && !exchange_->request_done) bytes.remove_prefix(take_body(bytes));
    }
    if (state_ == State::kExchange) in_.append(bytes);
}

PoolPtr HttpSession::route(const RequestHead& head) const {
    const ListenerPlan& plan = listener_->plan;
    if (plan.pool != nullptr) return plan.pool;
    return plan.hosts == nullptr ? nullptr : plan.hosts->find(head.host(), head.path());
}

void HttpSession::begin_request(const RequestHead& head) {
    count(ingress_.counters().requests);
    exchange_ = std::make_unique<Exchange>();
    Exchange& x = *exchange_;
    state_ = State::kExchange;
    progress(ingress_.limits().silence);
    x.head_only = head.method == "HEAD";
    x.idempotent = head.idempotent();
    x.persistent = head.persistent() && !ingress_.draining();
    x.client_is_1_0 = head.minor_version == 0;
    x.wants_upgrade = head.upgrade;
    x.chunked = head.chunked;
    x.body_left = head.content_length.value_or(0);
    x.request_done = !head.has_body();

    x.pool = route(head);
    if (x.pool == nullptr) {
        count(ingress_.counters().unrouted);
        return answer(503, std::format("No application here answers to the name '{}'.", head.host()));
    }
    const Pool& pool = *x.pool;
    x.pool_state = &ingress_.backends().pool(pool);
    ++x.pool_state->counters.active;
    ++x.pool_state->counters.requests;
    if (!pool.allowed_sources.empty()) {
        auto source = core::IpAddress::parse(client_host_);
        if (!source || !pool.allows(*source))
            return answer(403, "This application does not answer to your address.");
    }
    if (pool.redirect_to_https && !tls_ && listener_->plan.https_port != 0 &&
        listener_->plan.pool == nullptr) {
        const uint16_t port = listener_->plan.https_port;
        const std::string suffix = port == 443 ? "" : std::format(":{}", port);
        return answer(301, "This application is reached by HTTPS.",
                      std::format("Location: https://{}{}{}\r\n", head.host(), suffix, head.target));
    }
    if (pool.sticky) {
        const std::string_view cookie = find_cookie(head, kStickyCookie);
        std::from_chars(cookie.data(), cookie.data() + cookie.size(), x.cookie, 16);
    }
    const RequestRules rules{.client = client_host_,
                             .tls = tls_,
                             .port = listener_->plan.port,
                             .backend = pool.app,
                             .sticky_cookie = pool.sticky ? kStickyCookie : std::string_view(),
                             .api = &ingress_.api()};
    x.replay.reserve(head.bytes + 256);
    write_request_head(head, rules, x.replay);
    x.pool_state->counters.bytes_in += head.bytes;
    try_backend();
}

// Sends what belongs to the body of the request in hand; returns how much that was.
size_t HttpSession::take_body(BytesView bytes) {
    Exchange& x = *exchange_;
    x.pool_state->counters.bytes_in += bytes.size();
    if (!x.chunked) {
        const size_t size = static_cast<size_t>(std::min<uint64_t>(x.body_left, bytes.size()));
        x.body_left -= size;
        if (size > 0 && !send_body(bytes.substr(0, size), false)) return size;
        if (x.body_left == 0) request_complete();
        return size;
    }
    size_t used = 0;
    while (used < bytes.size() && !x.chunks.done()) {
        const ChunkReader::Step step = x.chunks.next(bytes.substr(used));
        if (step.part == ChunkReader::Part::kFailed) {
            count(ingress_.counters().malformed);
            release_upstream(false);
            answer(400, "the chunked body is malformed");
            return used;
        }
        const BytesView piece = bytes.substr(used, step.bytes);
        used += step.bytes;
        if (step.part == ChunkReader::Part::kData && !send_body(piece, true)) return used;
    }
    if (x.chunks.done()) {
        if (!to_upstream(std::array{kLastChunk})) return used;
        request_complete();
    }
    return used;
}

bool HttpSession::send_body(BytesView data, bool chunked) {
    if (!chunked) return to_upstream(std::array{data});
    const ChunkSize size(data.size());
    return to_upstream(std::array{size.view(), data, BytesView("\r\n")});
}

// Keeps what is sent as long as it is little, for another backend. False: the exchange is over.
bool HttpSession::to_upstream(std::span<const BytesView> pieces) {
    Exchange& x = *exchange_;
    size_t size = 0;
    for (BytesView piece : pieces) size += piece.size();
    const bool keep = x.repeatable && x.replay.size() + size <= ingress_.limits().replay_bytes;
    if (keep || !x.connected) {
        for (BytesView piece : pieces) x.replay += piece;
    }
    if (!keep && x.connected) {
        x.repeatable = false;
        x.replay.clear();
    }
    // Until it is connected the client waits with more than this.
    if (!x.connected) {
        if (x.replay.size() > ingress_.limits().replay_bytes) client_->pause();
        return true;
    }
    if (!x.upstream->duplex().write(pieces)) {
        upstream_lost();
        return state_ == State::kExchange;
    }
    if (x.upstream->duplex().queued() > ingress_.limits().queued_bytes) client_->pause();
    return true;
}

void HttpSession::request_complete() {
    exchange_->request_done = true;
}

// An answer of our own. With half a request outstanding the connection cannot go on.
void HttpSession::answer(int status, std::string_view reason, std::string_view extra_fields) {
    const bool whole = exchange_ != nullptr && exchange_->request_done;
    const bool keep = whole && exchange_->persistent && !client_ended_;
    const bool head_only = exchange_ != nullptr && exchange_->head_only;
    const Bytes bytes = plain_answer(status, reason, !keep, head_only, extra_fields);
    if (exchange_ != nullptr && exchange_->pool_state != nullptr) {
        PoolCounters& counters = exchange_->pool_state->counters;
        ++counters.responses[status / 100];
        if (status >= 502) ++counters.failures;
    }
    if (!to_client(std::array{BytesView(bytes)})) return;
    finish_exchange(keep);
}

void HttpSession::finish_exchange(bool keep_client) {
    if (exchange_ != nullptr) {
        release_upstream(false);
        if (exchange_->pool_state != nullptr) --exchange_->pool_state->counters.active;
        exchange_.reset();
    }
    if (!keep_client || client_ended_) return end_client();
    state_ = State::kHead;
    progress(ingress_.limits().keep_alive);
    next_request();
}

// Requests that came behind the last one, in a later turn: this one is in the middle of something.
void HttpSession::next_request() {
    client_->resume();
    if (in_.empty()) return;
    const Bytes waiting = std::exchange(in_, {});
    read_heads(waiting);
}

// A close with unread bytes becomes a reset, which may overtake the answer: the end is sent, and what comes
// is read for a while.
void HttpSession::end_client() {
    if (state_ == State::kGone) return;
    if (client_ended_ && client_->queued() == 0) return retire();
    state_ = State::kLinger;
    in_.clear();
    progress(client_->queued() > 0 ? ingress_.limits().silence : ingress_.limits().linger);
    client_->finish();
    client_->resume();
}

void HttpSession::drain() {
    // Its next request may be on its way already: it is answered, with the word that it was the last.
    if (state_ == State::kHead && in_.empty()) progress(ingress_.limits().linger);
    if (exchange_ != nullptr && !exchange_->response_begun) exchange_->persistent = false;
}

void HttpSession::check_time(core::Instant now) {
    if (state_ == State::kGone || now < deadline_) return;
    switch (state_) {
        case State::kHead:
            if (in_.empty()) return retire();
            return answer(408, "The request did not come in time.");
        case State::kExchange: {
            Exchange& x = *exchange_;
            if (!x.connected) {
                ingress_.backends().refused(x.upstream->backend());
                return upstream_lost();
            }
            if (x.response_begun) return response_broken();
            release_upstream(false);
            if (!x.request_done) return answer(408, "The request did not come in time.");
            return answer(504, "The application did not answer in time.");
        }
        default:
            return retire();
    }
}

// ---- the backend's side

void HttpSession::try_backend() {
    Exchange& x = *exchange_;
    Backends& backends = ingress_.backends();
    BackendState* backend =
        x.attempts < ingress_.limits().attempts ? backends.choose(*x.pool, x.tried, x.cookie) : nullptr;
    if (backend == nullptr) {
        if (x.tried.empty() && x.attempts == 0)
            return answer(503, std::format("No instance of the application '{}' is ready.", x.pool->app));
        return answer(503, std::format("No instance of the application '{}' could be reached.", x.pool->app));
    }
    if (x.attempts++ > 0) ++x.pool_state->counters.retries;
    if (x.pool->sticky) {
        for (const Backend& one : x.pool->backends) {
            if (one.address != backend->address || one.cookie == x.cookie) continue;
            x.cookie = one.cookie;
            x.set_cookie = true;
        }
    }
    backends.begin(*backend);
    x.counted = true;
    if (auto kept = backends.take_idle(*backend, x.idempotent)) {
        kept->use(*this);
        return use_upstream(std::move(kept), true);
    }
    x.tried.push_back(backend);
    progress(ingress_.limits().connect);
    x.reused = false;
    x.connected = false;
    x.upstream = backends.connect(*backend, *this);
}

void HttpSession::use_upstream(std::unique_ptr<Upstream> upstream, bool reused) {
    Exchange& x = *exchange_;
    x.upstream = std::move(upstream);
    x.reused = reused;
    x.connected = true;
    send_replay();
}

void HttpSession::send_replay() {
    Exchange& x = *exchange_;
    progress(ingress_.limits().silence);
    if (!x.upstream->duplex().write(x.replay)) return upstream_lost();
    if (x.replay.size() > ingress_.limits().replay_bytes) {
        x.repeatable = false;
        x.replay.clear();
    }
    if (!x.request_done) client_->resume();
}

void HttpSession::upstream_connected() {
    ingress_.backends().connected(exchange_->upstream->backend());
    exchange_->connected = true;
    send_replay();
}

void HttpSession::release_upstream(bool reusable) {
    Exchange& x = *exchange_;
    if (!x.counted) return;
    x.counted = false;
    std::unique_ptr<Upstream> upstream = std::move(x.upstream);
    BackendState& backend = upstream->backend();
    if (reusable) {
        ingress_.backends().keep(std::move(upstream));
    } else {
        upstream.reset();
    }
    ingress_.backends().end(backend);
}

// The backend has gone before its answer began. Another one is asked when the request cannot have been
// carried out, or may be carried out twice (RFC 9110 section 9.2.2).
void HttpSession::upstream_lost() {
    Exchange& x = *exchange_;
    const bool never_sent = !x.connected;
    const bool untouched = x.response_in.empty();
    const bool again = never_sent || (untouched && x.repeatable && x.idempotent);
    // A kept connection that was closed meanwhile says nothing of its backend.
    if (x.reused) --x.attempts;
    release_upstream(false);
    if (again) return try_backend();
    answer(502, std::format("The application '{}' closed the connection without an answer.", x.pool->app));
}

void HttpSession::upstream_failed() {
    if (state_ == State::kTunnel) return retire();
    Exchange& x = *exchange_;
    if (!x.connected) ingress_.backends().refused(x.upstream->backend());
    if (x.response_begun) return response_broken();
    upstream_lost();
}

void HttpSession::upstream_end() {
    if (state_ == State::kTunnel) return finish_exchange(false);
    Exchange& x = *exchange_;
    if (!x.response_begun) return upstream_lost();
    if (!x.response_until_close) return response_broken();
    x.upstream_persistent = false;
    response_complete({});
}

void HttpSession::upstream_drained() {
    if (state_ == State::kTunnel) {
        client_->resume();
        return;
    }
    if (state_ != State::kExchange) return;
    progress(ingress_.limits().silence);
    if (!exchange_->request_done) client_->resume();
}

// The client has part of the answer and must not take it for the whole.
void HttpSession::response_broken() {
    ++exchange_->pool_state->counters.failures;
    client_->abort();
    retire();
}

void HttpSession::upstream_bytes(BytesView bytes) {
    if (state_ == State::kTunnel) {
        progress(ingress_.limits().tunnel);
        if (!to_client(std::array{bytes})) return;
        if (client_->queued() > ingress_.limits().queued_bytes) exchange_->upstream->duplex().pause();
        return;
    }
    progress(ingress_.limits().silence);
    if (exchange_->response_begun) {
        forward_body({}, bytes);
        return;
    }
    if (exchange_->response_in.empty()) return read_response(bytes);
    exchange_->response_in += bytes;
    const Bytes whole = std::exchange(exchange_->response_in, {});
    read_response(whole);
}

void HttpSession::read_response(BytesView bytes) {
    while (!bytes.empty()) {
        ResponseHead head;
        HeadFailure failure;
        const HeadState state = parse_response_head(bytes, head, failure);
        if (state == HeadState::kIncomplete) {
            exchange_->response_in = bytes;
            return;
        }
        if (state == HeadState::kFailed) {
            release_upstream(false);
            return answer(502, std::format("The application '{}' sent a malformed answer: {}.",
                                           exchange_->pool->app, failure.reason));
        }
        const BytesView rest = bytes.substr(head.bytes);
        if (head.status == 101) return begin_tunnel(head, rest);
        if (head.status >= 200) return begin_response(head, rest);
        if (++exchange_->interim > kInterimMax) {
            release_upstream(false);
            return answer(502, "The application sent too many interim answers.");
        }
        forward_interim(head);
        if (state_ != State::kExchange) return;
        bytes = rest;
    }
}

void HttpSession::forward_interim(const ResponseHead& head) {
    if (exchange_->client_is_1_0) return;  // RFC 9110 section 15.2
    Bytes& out = ingress_.scratch();
    out.clear();
    write_response_head(head, {}, out);
    static_cast<void>(to_client(std::array{BytesView(out)}));
}

void HttpSession::begin_tunnel(const ResponseHead& head, BytesView rest) {
    Exchange& x = *exchange_;
    if (!x.wants_upgrade || !x.request_done) {
        release_upstream(false);
        return answer(502, "The application switched to another protocol without being asked.");
    }
    Bytes& out = ingress_.scratch();
    out.clear();
    write_response_head(head, {}, out);
    ++x.pool_state->counters.responses[1];
    state_ = State::kTunnel;
    progress(ingress_.limits().tunnel);
    if (!to_client(std::array{BytesView(out), rest})) return;
    client_->resume();
    if (in_.empty()) return;
    const Bytes waiting = std::exchange(in_, {});
    if (!x.upstream->duplex().write(waiting)) retire();
}

void HttpSession::begin_response(const ResponseHead& head, BytesView body) {
    Exchange& x = *exchange_;
    x.response_begun = true;
    ++x.pool_state->counters.responses[std::min(head.status / 100, 5)];
    const bool no_body = x.head_only || head.status == 204 || head.status == 304;
    x.response_chunked = !no_body && head.chunked;
    x.response_left = no_body ? 0 : head.content_length.value_or(0);
    x.response_until_close = !no_body && !head.chunked && !head.content_length;
    x.upstream_persistent = head.persistent() && !x.response_until_close;
    const bool by_chunks = x.response_chunked || x.response_until_close;
    x.framing = no_body ? BodyFraming::kNone : BodyFraming::kLength;
    if (by_chunks) x.framing = x.client_is_1_0 ? BodyFraming::kUntilClose : BodyFraming::kChunked;
    // An answer before the end of the request: what is left of it cannot be told from the next request
    // safely.
    if (!x.request_done || x.framing == BodyFraming::kUntilClose || ingress_.draining()) x.persistent = false;

    const std::string cookie =
        x.set_cookie ? std::format("{}={:x}; path=/; HttpOnly", kStickyCookie, x.cookie) : std::string();
    const ResponseRules rules{.framing = x.framing,
                              .close = !x.persistent,
                              .client_is_1_0 = x.client_is_1_0,
                              .hsts = x.pool->hsts && tls_,
                              .set_cookie = cookie,
                              .api = &ingress_.api()};
    Bytes& out = ingress_.scratch();
    out.clear();
    write_response_head(head, rules, out);
    forward_body(out, body);
}

bool HttpSession::forward_body(BytesView head, BytesView body) {
    Exchange& x = *exchange_;
    size_t used = 0;
    bool done = false;
    bool sent_head = head.empty();
    // One piece in most cases, and then one system call with the head.
    do {
        BytesView data = body.substr(used);
        if (x.response_chunked) {
            if (data.empty()) break;
            const ChunkReader::Step step = x.response_chunks.next(data);
            if (step.part == ChunkReader::Part::kFailed) {
                response_broken();
                return false;
            }
            data = step.part == ChunkReader::Part::kData ? data.substr(0, step.bytes) : BytesView();
            used += step.bytes;
            done = x.response_chunks.done();
        } else if (!x.response_until_close) {
            data = data.substr(0, static_cast<size_t>(std::min<uint64_t>(x.response_left, data.size())));
            x.response_left -= data.size();
            used += data.size();
            done = x.response_left == 0;
        } else {
            used += data.size();
        }
        const BytesView first = std::exchange(sent_head, true) ? BytesView() : head;
        const bool chunk = x.framing == BodyFraming::kChunked && !data.empty();
        const ChunkSize size(data.size());
        const std::array pieces = {first, chunk ? size.view() : BytesView(), data,
                                   chunk ? BytesView("\r\n") : BytesView(),
                                   done && x.framing == BodyFraming::kChunked ? kLastChunk : BytesView()};
        if (!to_client(pieces)) return false;
    } while (!done && used < body.size());
    if (!sent_head && !to_client(std::array{head})) return false;
    if (done) {
        response_complete(body.substr(used));
        return false;
    }
    if (client_->queued() > ingress_.limits().queued_bytes) x.upstream->duplex().pause();
    return true;
}

// `rest`: what the backend sent behind the answer; nobody asked for it.
void HttpSession::response_complete(BytesView rest) {
    Exchange& x = *exchange_;
    if (x.response_until_close && x.framing == BodyFraming::kChunked && !to_client(std::array{kLastChunk}))
        return;
    release_upstream(x.upstream_persistent && x.request_done && rest.empty());
    finish_exchange(x.persistent);
}

}  // namespace smackd::edge
