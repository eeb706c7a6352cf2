// The client's side: requests, their bodies, answers of our own.
#include <algorithm>
#include <array>
#include <charconv>
#include <format>

#include "services/edge/http_exchange.h"

namespace smackd::edge {

using core::Bytes;
using core::BytesView;
using namespace core::ingress;

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
    progressed_ = ingress_.loop().now();
    deadline_ = progressed_ + limit;
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
    if (state_ == State::kGone) return;
    const bool with_backend = (state_ == State::kExchange || state_ == State::kTunnel) &&
                              exchange_->connected && exchange_->upstream != nullptr;
    if (with_backend && ingress_.backends().is_lost(*exchange_->upstream, progressed_))
        return upstream_failed(true);
    if (now < deadline_) return;
    switch (state_) {
        case State::kHead:
            if (in_.empty()) return retire();
            return answer(408, "The request did not come in time.");
        case State::kExchange: {
            Exchange& x = *exchange_;
            if (!x.connected) {
                ingress_.backends().unanswered(x.upstream->backend());
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

}  // namespace smackd::edge
