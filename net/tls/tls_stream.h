// TlsStream: mbedTLS between two buffers, the raw stream behind them. Private to net/tls.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "net/stream.h"
#include "net/sync.h"
#include "net/tls/native.h"
#include "net/tls/session.h"
#include "net/worker_pool.h"

namespace smackd::net {

class TlsStream final : public Stream, public TlsSession {
 public:
    TlsStream(Loop& loop, std::unique_ptr<Stream> raw, std::shared_ptr<const TlsConfig> config);
    ~TlsStream() override;

    /// Sends `name` as SNI and demands it in the certificate; empty: neither. Clients only.
    core::Result<void> set_server_name(const std::string& name);
    /// Runs the handshake, its arithmetic on `workers`.
    Task<core::Result<void>> handshake(WorkerPool& workers);

    /// See move_stream.h.
    core::Result<void> detach();
    core::Result<void> attach(Loop& loop);

    Task<core::Result<size_t>> read(char* buffer, size_t size) override;
    Task<core::Result<void>> write(core::BytesView bytes) override;
    Task<core::Result<void>> shutdown() override;
    Task<void> close() override { return raw_->close(); }
    const std::string& peer() const override { return raw_->peer(); }
    const TlsSession* tls() const override { return this; }
    std::optional<UnixCredentials> credentials() const override { return raw_->credentials(); }

    std::string version() const override;
    const std::string& alpn() const override { return alpn_; }
    const std::string& server_name() const override { return server_name_; }
    const std::optional<crypto::Certificate>& peer_certificate() const override { return peer_certificate_; }
    const core::Bytes& server_certificate_der() const override { return server_certificate_der_; }
    core::Result<core::Bytes> exporter(std::string_view label, core::BytesView context,
                                       size_t length) const override;

    /// mbedTLS' SNI callback of server configurations; `native` is a TlsConfig::Native.
    static int on_server_name(void* native, mbedtls_ssl_context* ssl, const unsigned char* name,
                              size_t length);

 private:
    static int on_verify(void* self, mbedtls_x509_crt* certificate, int depth, uint32_t* flags);
    static int take_output(void* self, const unsigned char* bytes, size_t count);
    static int give_input(void* self, unsigned char* into, size_t count);
    Task<core::Result<void>> flush();
    Task<core::Result<void>> fill();
    core::Result<void> finish();
    std::unexpected<core::Error> explain(int status) const;
    std::unexpected<core::Error> explain_alert() const;

    Loop* loop_;
    std::unique_ptr<Stream> raw_;
    std::shared_ptr<const TlsConfig> config_;
    mutable mbedtls_ssl_context ssl_{};  // exporting keys takes a non-const context
    core::Bytes input_;                  // received, not yet taken by mbedTLS
    size_t input_used_ = 0;
    bool input_ended_ = false;
    bool read_once_ = false;         // application data has been received
    core::Bytes output_;             // produced, not yet sent
    std::optional<Semaphore> wire_;  // who writes to raw_: the writer, or a reader with an alert to send
    std::string refusal_;            // why the peer's certificate does not pass
    std::string alpn_;
    std::string server_name_;
    const OwnCertificate* own_ = nullptr;
    std::optional<crypto::Certificate> peer_certificate_;
    core::Bytes server_certificate_der_;
};

}  // namespace smackd::net
