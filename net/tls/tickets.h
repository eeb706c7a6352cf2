// TlsTickets: what a server's session tickets are sealed with.
#pragma once

#include <chrono>
#include <memory>

#include "core/result.h"
#include "core/units.h"

namespace smackd::net {

/// A ticket is good for as long; its key is gone after twice that, and with it what could open recorded
/// TLS 1.2 sessions. (nginx: 5 minutes to a day; Go: a day, keys for a week.)
inline constexpr core::Duration kTicketLife = std::chrono::hours(6);
inline constexpr uint16_t kTicketsPerHandshake = 2;  ///< of TLS 1.3, where a client uses each ticket once

/// The keys of session tickets (RFC 5077; RFC 8446 section 4.6.1), random and in memory only, renewed each
/// kTicketLife. Shared by the configurations that follow each other at one door, so that a session outlives a
/// new certificate. Used by several threads at once.
class TlsTickets {
 public:
    struct Native;
    static core::Result<std::shared_ptr<TlsTickets>> make();

    explicit TlsTickets(std::unique_ptr<Native> native);
    ~TlsTickets();
    TlsTickets(const TlsTickets&) = delete;
    TlsTickets& operator=(const TlsTickets&) = delete;
    Native& native() const { return *native_; }

 private:
    std::unique_ptr<Native> native_;
};

}  // namespace smackd::net
