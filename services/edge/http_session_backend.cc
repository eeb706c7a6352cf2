// The backend's side: finding one, its answer, tunnels.
#include <algorithm>
#include <array>
#include <format>

#include "services/edge/http_exchange.h"

namespace smackd::edge {

using core::Bytes;
using core::BytesView;
using namespace core::ingress;

namespace {

constexpr int kInterimMax = 16;  // 1xx answers before the real one

}  // namespace

void HttpSession::try_backend() {
    Exchange& x = *exchange_;
    Backends& backends = ingress_.backends();
    if (x.attempts > 0) x.pool = ingress_.newest(x.pool);
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
    progress(ingress_.connect_limit(*x.pool, x.tried.size()));
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

void HttpSession::upstream_failed(bool silent) {
    Exchange& x = *exchange_;
    if (silent) {
        ingress_.backends().unanswered(x.upstream->backend());
    } else if (!x.connected) {
        ingress_.backends().refused(x.upstream->backend());
    }
    if (state_ == State::kTunnel) return retire();
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
