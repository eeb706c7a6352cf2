// A client's TCP connection to a service port in TCP mode: bytes both ways to one backend.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "services/edge/ingress.h"

namespace smackd::edge {

class TcpSession final : public IngressSession, public net::Duplex::Handler, public UpstreamUser {
 public:
    TcpSession(Ingress& ingress, uint64_t id, core::ingress::PoolPtr pool,
               std::unique_ptr<net::Duplex> client, std::string client_host);
    ~TcpSession() override;
    TcpSession(const TcpSession&) = delete;
    TcpSession& operator=(const TcpSession&) = delete;

    void start();
    void check_time(core::Instant now) override;
    /// Bytes on their way mean something to both ends only: it goes on until one of them closes.
    void drain() override {}

    void on_bytes(core::BytesView bytes) override;
    void on_end() override;
    void on_drained() override;
    void on_failed(const core::Error& why) override;

    void upstream_connected() override;
    void upstream_bytes(core::BytesView bytes) override;
    void upstream_end() override;
    void upstream_drained() override;
    void upstream_failed(bool silent) override;

 private:
    void try_backend();
    void progress(core::Duration limit);
    void release_upstream();
    void retire(bool reset);

    Ingress& ingress_;
    uint64_t id_;
    core::ingress::PoolPtr pool_;
    PoolState& pool_state_;
    std::unique_ptr<net::Duplex> client_;
    std::string client_host_;
    std::unique_ptr<Upstream> upstream_;
    std::vector<BackendState*> tried_;
    core::Instant deadline_;
    core::Instant progressed_;  // when something last came or went
    bool connected_ = false;
    bool client_ended_ = false;
    bool upstream_ended_ = false;
};

}  // namespace smackd::edge
