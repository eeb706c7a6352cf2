#include "net/tls/tls_stream.h"

#include <algorithm>
#include <cstring>

#include "net/crypto/x509_names.h"
#include "net/move_stream.h"
#include "net/scope.h"

namespace smackd::net {

using core::Errc;
using core::Result;

namespace {

constexpr size_t kInputChunk = 18 * 1024;   // a whole record of 16 KiB with its overhead
constexpr size_t kYieldBytes = 256 * 1024;  // encrypted in one turn of the loop: 2 to 3 ms
constexpr size_t kOutputChunk = 64 * 1024;  // encrypted ahead of one write to the socket

}  // namespace

TlsStream::TlsStream(Loop& loop, std::unique_ptr<Stream> raw, std::shared_ptr<const TlsConfig> config)
    : loop_(&loop), raw_(std::move(raw)), config_(std::move(config)), wire_(std::in_place, loop, 1) {
    own_ = &config_->native().own;
    mbedtls_ssl_init(&ssl_);
    // Out of memory is all that can go wrong: the configuration has been used before.
    SMACK_ASSERT(mbedtls_ssl_setup(&ssl_, &config_->native().config) == 0);
    mbedtls_ssl_set_user_data_p(&ssl_, this);
    mbedtls_ssl_set_verify(&ssl_, on_verify, this);
    mbedtls_ssl_set_bio(&ssl_, this, take_output, give_input, nullptr);
}

TlsStream::~TlsStream() {
    mbedtls_ssl_free(&ssl_);
}

// What has been received and not yet taken stays in its buffers.
Result<void> TlsStream::detach() {
    wire_.reset();
    return detach_from_loop(*raw_);
}

Result<void> TlsStream::attach(Loop& loop) {
    loop_ = &loop;
    wire_.emplace(loop, 1);
    return attach_to_loop(*raw_, loop);
}

Result<void> TlsStream::set_server_name(const std::string& name) {
    int status = mbedtls_ssl_set_hostname(&ssl_, name.empty() ? nullptr : name.c_str());
    if (status != 0) return crypto::fail_mbed(Errc::kInvalid, status, "server name");
    return {};
}

int TlsStream::on_server_name(void* native, mbedtls_ssl_context* ssl, const unsigned char* name,
                              size_t length) {
    auto* self = static_cast<TlsStream*>(mbedtls_ssl_get_user_data_p(ssl));
    self->server_name_ = crypto::view(name, length);
    std::ranges::transform(self->server_name_, self->server_name_.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    // The name itself goes before a wildcard for its first label (RFC 6125 section 6.4.3).
    const size_t dot = self->server_name_.find('.');
    const std::string wildcard = dot == std::string::npos ? "" : "*" + self->server_name_.substr(dot);
    for (const std::string& wanted : {self->server_name_, wildcard}) {
        for (const OwnCertificate& own : static_cast<TlsConfig::Native*>(native)->by_name) {
            if (wanted.empty() || own.server_name != wanted) continue;
            self->own_ = &own;
            return mbedtls_ssl_set_hs_own_cert(ssl, own.chain.get(), own.key.get());
        }
    }
    return 0;
}

// After a failed handshake the certificate is gone, so the reason is put into words here.
int TlsStream::on_verify(void* self, mbedtls_x509_crt* certificate, int, uint32_t* flags) {
    std::string& refusal = static_cast<TlsStream*>(self)->refusal_;
    if (*flags != 0 && refusal.empty()) refusal = crypto::describe_verify_flags(*flags, certificate);
    return 0;
}

int TlsStream::take_output(void* self, const unsigned char* bytes, size_t count) {
    static_cast<TlsStream*>(self)->output_.append(crypto::view(bytes, count));
    return static_cast<int>(count);
}

int TlsStream::give_input(void* stream, unsigned char* into, size_t count) {
    auto* self = static_cast<TlsStream*>(stream);
    size_t left = self->input_.size() - self->input_used_;
    if (left == 0) return self->input_ended_ ? 0 : MBEDTLS_ERR_SSL_WANT_READ;
    count = std::min(count, left);
    std::memcpy(into, self->input_.data() + self->input_used_, count);
    self->input_used_ += count;
    return static_cast<int>(count);
}

Task<Result<void>> TlsStream::fill() {
    input_.resize(kInputChunk);
    input_used_ = 0;
    auto count = co_await raw_->read(input_.data(), input_.size());
    input_.resize(count.value_or(0));
    if (!count) co_return std::unexpected(std::move(count.error()));
    input_ended_ = *count == 0;
    co_return Result<void>();
}

Task<Result<void>> TlsStream::flush() {
    if (output_.empty()) co_return Result<void>();
    CO_TRY(co_await wire_->acquire());
    Semaphore::Permit permit(*wire_);
    while (!output_.empty()) {
        core::Bytes sending = std::exchange(output_, {});
        CO_TRY(co_await raw_->write(sending));
    }
    co_return Result<void>();
}

Task<Result<void>> TlsStream::handshake(WorkerPool& workers) {
    if (config_->native().is_server) {
        CO_TRY(co_await fill());  // nothing to compute before the client has spoken
    }
    for (;;) {
        core::Callback<Result<int>()> step = [this]() -> Result<int> { return mbedtls_ssl_handshake(&ssl_); };
        CO_TRY_ASSIGN(int status, co_await workers.run<int>(*loop_, std::move(step)));
        auto sent = co_await flush();  // of a failure: the alert
        if (status == 0) break;
        if (status != MBEDTLS_ERR_SSL_WANT_READ) co_return explain(status);
        CO_TRY(std::move(sent));
        CO_TRY(co_await fill());
    }
    co_return finish();
}

Result<void> TlsStream::finish() {
    const mbedtls_x509_crt* peer = mbedtls_ssl_get_peer_cert(&ssl_);
    const TlsConfig::Native& native = config_->native();
    if (peer != nullptr) {
        uint32_t flags = mbedtls_ssl_get_verify_result(&ssl_);
        if (native.verifies && flags != 0) {
            return core::fail(Errc::kDenied, "{}: {}", raw_->peer(),
                              crypto::describe_verify_flags(flags, peer));
        }
        TRY_ASSIGN(peer_certificate_, crypto::read_certificate(*peer));
    }
    if (native.is_server) {
        server_certificate_der_ = own_->der();
        if (!native.verifies) peer_certificate_.reset();
    } else if (peer_certificate_) {
        server_certificate_der_ = peer_certificate_->der;
    }
    const char* protocol = mbedtls_ssl_get_alpn_protocol(&ssl_);
    if (protocol != nullptr) alpn_ = protocol;
    return {};
}

Task<Result<size_t>> TlsStream::read(char* buffer, size_t size) {
    for (;;) {
        int status = mbedtls_ssl_read(&ssl_, reinterpret_cast<unsigned char*>(buffer), size);
        if (status > 0) {
            read_once_ = true;
            co_return static_cast<size_t>(status);
        }
        if (status == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) co_return size_t{0};
        if (status == 0) co_return explain(MBEDTLS_ERR_SSL_CONN_EOF);  // no close_notify came before it
        if (status == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) continue;
        auto sent = co_await flush();
        if (status != MBEDTLS_ERR_SSL_WANT_READ) co_return explain(status);
        CO_TRY(std::move(sent));
        CO_TRY(co_await fill());
    }
}

Task<Result<void>> TlsStream::write(core::BytesView bytes) {
    size_t in_this_turn = 0;
    while (!bytes.empty()) {
        if (in_this_turn >= kYieldBytes) {
            CO_TRY(co_await sleep(*loop_, core::Duration(0)));  // others on the loop have their turn
            in_this_turn = 0;
        }
        while (!bytes.empty() && output_.size() < kOutputChunk) {
            int status = mbedtls_ssl_write(&ssl_, crypto::raw(bytes), bytes.size());
            if (status <= 0) co_return explain(status);
            bytes.remove_prefix(static_cast<size_t>(status));
            in_this_turn += static_cast<size_t>(status);
        }
        CO_TRY(co_await flush());
    }
    co_return Result<void>();
}

Task<Result<void>> TlsStream::shutdown() {
    int status = mbedtls_ssl_close_notify(&ssl_);
    if (status < 0) co_return explain(status);
    CO_TRY(co_await flush());
    co_return co_await raw_->shutdown();
}

std::string TlsStream::version() const {
    return mbedtls_ssl_get_version(&ssl_);
}

Result<core::Bytes> TlsStream::exporter(std::string_view label, core::BytesView context,
                                        size_t length) const {
    core::Bytes key(length, '\0');
    int status = mbedtls_ssl_export_keying_material(&ssl_, crypto::raw(key), length, label.data(),
                                                    label.size(), crypto::raw(context), context.size(), 1);
    if (status != 0) return crypto::fail_mbed(Errc::kInvalid, status, "TLS exporter");
    return key;
}

std::unexpected<core::Error> TlsStream::explain(int status) const {
    const std::string& who = raw_->peer();
    switch (status) {
        case MBEDTLS_ERR_X509_CERT_VERIFY_FAILED: {
            if (!refusal_.empty()) return core::fail(Errc::kDenied, "{}: {}", who, refusal_);
            uint32_t flags = mbedtls_ssl_get_verify_result(&ssl_);
            return core::fail(Errc::kDenied, "{}: {}", who, crypto::describe_verify_flags(flags, nullptr));
        }
        case MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE:
            return core::fail(Errc::kDenied, "{}: the client sent no certificate, and this port needs one",
                              who);
        case MBEDTLS_ERR_SSL_NO_APPLICATION_PROTOCOL:
            return core::fail(Errc::kInvalid, "{}: no application protocol (ALPN) in common", who);
        case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
            return explain_alert();
        case MBEDTLS_ERR_SSL_CONN_EOF:
            return core::fail(Errc::kUnavailable, "{} cut the TLS connection without closing it", who);
        case MBEDTLS_ERR_SSL_INVALID_MAC:
            // An mbedTLS server sends the TLS 1.3 alert about a client's certificate under the handshake
            // keys, which the client has left behind by then: all it can see is that the first record does
            // not fit.
            if (!config_->native().is_server && !read_once_ &&
                config_->native().own.chain->raw.p != nullptr) {
                return core::fail(
                    Errc::kDenied,
                    "{} refused our certificate: expired, not yet valid, or of a CA it does not know", who);
            }
            return core::fail(Errc::kCorrupt, "TLS with {}: a record was damaged on the way", who);
        default:
            return core::fail(Errc::kInvalid, "TLS with {}: {}", who, crypto::mbed_text(status));
    }
}

std::unexpected<core::Error> TlsStream::explain_alert() const {
    const std::string& who = raw_->peer();
    int alert =
        ssl_.MBEDTLS_PRIVATE(in_msg)[1];  // the description of the alert just read (RFC 8446 section 6)
    switch (alert) {
        case MBEDTLS_SSL_ALERT_MSG_CERT_EXPIRED:
            return core::fail(Errc::kDenied, "{} refused our certificate: it has expired", who);
        case MBEDTLS_SSL_ALERT_MSG_UNKNOWN_CA:
            return core::fail(Errc::kDenied, "{} refused our certificate: it does not know the CA", who);
        case MBEDTLS_SSL_ALERT_MSG_BAD_CERT:
        case MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_CERT:
        case MBEDTLS_SSL_ALERT_MSG_CERT_REVOKED:
        case MBEDTLS_SSL_ALERT_MSG_CERT_UNKNOWN:
        case MBEDTLS_SSL_ALERT_MSG_ACCESS_DENIED:
            return core::fail(Errc::kDenied, "{} refused our certificate (TLS alert {})", who, alert);
        case MBEDTLS_SSL_ALERT_MSG_CERT_REQUIRED:
            return core::fail(Errc::kDenied, "{} wants a client certificate and we sent none", who);
        case MBEDTLS_SSL_ALERT_MSG_NO_APPLICATION_PROTOCOL:
            return core::fail(Errc::kInvalid, "{}: no application protocol (ALPN) in common", who);
        case MBEDTLS_SSL_ALERT_MSG_PROTOCOL_VERSION:
            return core::fail(Errc::kInvalid, "{}: no TLS version in common", who);
        default:
            return core::fail(Errc::kInvalid, "{} ended TLS with alert {}", who, alert);
    }
}

}  // namespace smackd::net
