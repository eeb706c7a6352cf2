// A client's HTTP/1.1 connection: one request after the other, each to a backend of its pool.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/ingress/chunks.h"
#include "core/ingress/forward.h"
#include "services/edge/ingress.h"

namespace smackd::edge {

class HttpSession final : public IngressSession, public net::Duplex::Handler, public UpstreamUser {
 public:
    HttpSession(Ingress& ingress, uint64_t id, std::shared_ptr<ListenerState> listener,
                std::unique_ptr<net::Duplex> client, std::string client_host, bool tls);
    ~HttpSession() override;
    HttpSession(const HttpSession&) = delete;
    HttpSession& operator=(const HttpSession&) = delete;

    void start() { client_->start(*this); }
    void check_time(core::Instant now) override;
    void drain() override;

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
    enum class State : uint8_t {
        kHead,      ///< waits for a request, or has part of its head
        kExchange,  ///< a request is in hand
        kTunnel,    ///< after 101: bytes both ways
        kLinger,    ///< the last answer is on its way; what comes is dropped
        kGone,
    };
    struct Exchange;

    // The client's side.
    void read_heads(core::BytesView bytes);
    void begin_request(const core::ingress::RequestHead& head);
    core::ingress::PoolPtr route(const core::ingress::RequestHead& head) const;
    size_t take_body(core::BytesView bytes);
    bool send_body(core::BytesView data, bool chunked);
    bool to_upstream(std::span<const core::BytesView> pieces);
    void request_complete();
    void answer(int status, std::string_view reason, std::string_view extra_fields = {});
    void finish_exchange(bool keep_client);
    void next_request();
    void end_client();
    void retire();
    bool to_client(std::span<const core::BytesView> pieces);

    // The backend's side.
    void try_backend();
    void use_upstream(std::unique_ptr<Upstream> upstream, bool reused);
    void send_replay();
    void release_upstream(bool reusable);
    void upstream_lost();
    void read_response(core::BytesView bytes);
    void begin_response(const core::ingress::ResponseHead& head, core::BytesView body);
    void forward_interim(const core::ingress::ResponseHead& head);
    void begin_tunnel(const core::ingress::ResponseHead& head, core::BytesView rest);
    /// Moves body bytes to the client, `head` before them; false when the session is over.
    bool forward_body(core::BytesView head, core::BytesView body);
    void response_complete(core::BytesView rest);
    void response_broken();

    void progress(core::Duration limit);

    Ingress& ingress_;
    uint64_t id_;
    std::shared_ptr<ListenerState> listener_;
    std::unique_ptr<net::Duplex> client_;
    std::string client_host_;
    core::Bytes in_;  // of the client, not yet used
    std::unique_ptr<Exchange> exchange_;
    core::Instant deadline_;
    core::Instant progressed_;  // when something last came or went
    State state_ = State::kHead;
    bool tls_;
    bool client_ended_ = false;
};

}  // namespace smackd::edge
