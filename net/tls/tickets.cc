#include "net/tls/tickets.h"

#include "net/tls/native.h"

namespace smackd::net {

TlsTickets::TlsTickets(std::unique_ptr<Native> native) : native_(std::move(native)) {}
TlsTickets::~TlsTickets() = default;

core::Result<std::shared_ptr<TlsTickets>> TlsTickets::make() {
    auto native = std::make_unique<Native>();
    const auto life = std::chrono::duration_cast<std::chrono::seconds>(kTicketLife);
    int status = mbedtls_ssl_ticket_setup(&native->context, crypto::kernel_random, nullptr,
                                          MBEDTLS_CIPHER_AES_256_GCM, static_cast<uint32_t>(life.count()));
    if (status != 0) return crypto::fail_mbed(core::Errc::kInvalid, status, "session tickets");
    return std::make_shared<TlsTickets>(std::move(native));
}

}  // namespace smackd::net
