#include "services/edge/tcp_session.h"

namespace smackd::edge {

TcpSession::TcpSession(Ingress& ingress, uint64_t id, core::ingress::PoolPtr pool,
                       std::unique_ptr<net::Duplex> client, std::string client_host)
    : ingress_(ingress),
      id_(id),
      pool_(std::move(pool)),
      pool_state_(ingress.backends().pool(*pool_)),
      client_(std::move(client)),
      client_host_(std::move(client_host)) {
    ++pool_state_.counters.requests;
    ++pool_state_.counters.active;
}

TcpSession::~TcpSession() {
    release_upstream();
    --pool_state_.counters.active;
}

void TcpSession::start() {
    auto source = core::IpAddress::parse(client_host_);
    if (!source || !pool_->allows(*source)) return retire(true);
    client_->start(*this);
    client_->pause();  // until somebody takes what comes
    try_backend();
}

void TcpSession::progress(core::Duration limit) {
    progressed_ = ingress_.loop().now();
    deadline_ = progressed_ + limit;
}

void TcpSession::try_backend() {
    if (!tried_.empty()) pool_ = ingress_.newest(pool_);
    const bool more = tried_.size() < static_cast<size_t>(ingress_.limits().attempts);
    BackendState* backend = more ? ingress_.backends().choose(*pool_, tried_, 0) : nullptr;
    if (backend == nullptr) {
        ++pool_state_.counters.failures;
        return retire(true);
    }
    if (!tried_.empty()) ++pool_state_.counters.retries;
    tried_.push_back(backend);
    ingress_.backends().begin(*backend);
    progress(ingress_.connect_limit(*pool_, tried_.size()));
    upstream_ = ingress_.backends().connect(*backend, *this);
}

void TcpSession::release_upstream() {
    if (upstream_ == nullptr) return;
    BackendState& backend = upstream_->backend();
    upstream_.reset();
    ingress_.backends().end(backend);
}

void TcpSession::retire(bool reset) {
    if (client_ == nullptr) return;
    if (reset) client_->abort();
    client_.reset();
    release_upstream();
    ingress_.retire(id_);
}

void TcpSession::check_time(core::Instant now) {
    if (client_ == nullptr) return;
    if (connected_ && ingress_.backends().is_lost(*upstream_, progressed_)) return upstream_failed(true);
    if (now < deadline_) return;
    if (connected_) return retire(true);
    ingress_.backends().unanswered(upstream_->backend());
    release_upstream();
    try_backend();
}

void TcpSession::upstream_connected() {
    connected_ = true;
    ingress_.backends().connected(upstream_->backend());
    progress(ingress_.limits().tunnel);
    client_->resume();
}

void TcpSession::on_bytes(core::BytesView bytes) {
    progress(ingress_.limits().tunnel);
    pool_state_.counters.bytes_in += bytes.size();
    if (!upstream_->duplex().write(bytes)) return retire(true);
    if (upstream_->duplex().queued() > ingress_.limits().queued_bytes) client_->pause();
}

void TcpSession::upstream_bytes(core::BytesView bytes) {
    progress(ingress_.limits().tunnel);
    pool_state_.counters.bytes_out += bytes.size();
    if (!client_->write(bytes)) return retire(true);
    if (client_->queued() > ingress_.limits().queued_bytes) upstream_->duplex().pause();
}

// A half that is closed is closed at the other side, too, behind what is on its way; the second one ends it
// all.
void TcpSession::on_end() {
    client_ended_ = true;
    if (upstream_ended_ && upstream_->duplex().queued() == 0 && client_->queued() == 0) return retire(false);
    upstream_->duplex().finish();
}

void TcpSession::upstream_end() {
    upstream_ended_ = true;
    if (client_ended_ && client_->queued() == 0 && upstream_->duplex().queued() == 0) return retire(false);
    client_->finish();
}

void TcpSession::on_drained() {
    if (client_ended_ && upstream_ended_ && upstream_->duplex().queued() == 0) return retire(false);
    if (connected_ && !upstream_ended_) upstream_->duplex().resume();
}

void TcpSession::upstream_drained() {
    if (client_ended_ && upstream_ended_ && client_->queued() == 0) return retire(false);
    if (!client_ended_) client_->resume();
}

void TcpSession::on_failed(const core::Error&) {
    retire(true);
}

void TcpSession::upstream_failed(bool silent) {
    if (silent) ingress_.backends().unanswered(upstream_->backend());
    if (connected_) return retire(true);
    if (!silent) ingress_.backends().refused(upstream_->backend());
    release_upstream();
    try_backend();
}

}  // namespace smackd::edge
