// Turns the edge's table into what the data loops work with: the zone, the routes, certificates and
// listeners.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/dns/records.h"
#include "core/edge_table.h"
#include "core/logger.h"
#include "net/listen_socket.h"
#include "services/edge/dns_server.h"
#include "services/edge/fallback_certificate.h"
#include "services/edge/ingress.h"

namespace smackd::edge {

/// The data loops. All of them outlive the control.
struct DataLoops {
    net::Loop& dns_loop;
    DnsServer& dns;
    net::Loop& ingress_loop;
    Ingress& ingress;
};

/// Used on the control loop only; reaches the others by post().
class Control {
 public:
    /// `make_listeners`: opens listening sockets itself; otherwise they are given.
    Control(DataLoops loops, bool make_listeners, core::Logger logger);
    ~Control();
    Control(const Control&) = delete;
    Control& operator=(const Control&) = delete;

    /// What could not be used, in words; everything else is in force. An error: nothing was applied.
    core::Result<std::vector<std::string>> replace(wire::EdgeTable table);
    core::Result<std::vector<std::string>> apply(wire::EdgeDelta delta);

    /// All that the table wants, with `open` where they are there.
    std::vector<wire::EdgeListener> wanted_listeners() const;
    /// Takes over a descriptor; closes it when the table does not want it (any more), or has it: false.
    core::Result<bool> give_listener(const wire::EdgeListener& listener, int descriptor);
    /// A listener that was given, and our own copy of its descriptor.
    struct Kept {
        wire::EdgeListener listener;
        int descriptor = -1;
    };
    std::vector<Kept> kept_listeners() const;
    /// Opens what could not be opened before; empty when nothing is missing.
    std::vector<std::string> retry_listeners();

    const core::EdgeState& state() const { return state_; }
    bool makes_listeners() const { return make_listeners_; }
    /// Calls `done`, on the ingress loop, when the task gets nothing new and nothing for it is in hand.
    void await_release(const std::string& task, core::Callback<void()> done);
    void drain();

 private:
    /// For what a listener is wanted.
    enum class Purpose : uint8_t { kDns, kIngress };
    struct Wanted {
        wire::EdgeListener listener;
        Purpose purpose = Purpose::kDns;
        bool open = false;
        int copy = -1;  ///< of a given one, for the edge or daemon after us
    };

    void rebuild_zone(std::vector<std::string>& problems);
    ZoneChange change_of(const wire::EdgeTask& task) const;
    ZoneChange change_of(const wire::EdgeName& name, std::vector<std::string>& problems);
    void update_zone(const wire::EdgeDelta& delta, std::vector<std::string>& problems);
    void rebuild_routes(std::vector<std::string>& problems);
    void rebuild_certificates(std::vector<std::string>& problems);
    void want(std::map<std::string, Wanted>& all, wire::EdgeListener::Kind kind, const std::string& address,
              Purpose purpose);
    void sync_listeners(std::vector<std::string>& problems);
    core::Result<void> open(Wanted& wanted);
    void hand_over(Wanted& wanted, const std::string& name, int descriptor);
    void close(const std::string& name, Wanted& wanted);
    static void forget_copy(Wanted& wanted);
    core::dns::TenantId tenant_of(const wire::EdgeTask& task) const;

    DataLoops loops_;
    bool make_listeners_;
    core::Logger logger_;
    core::EdgeState state_;
    mutable core::dns::TenantNumbers tenants_;
    std::shared_ptr<const core::ingress::Routes> routes_ = std::make_shared<core::ingress::Routes>();
    std::shared_ptr<net::TlsTickets> tickets_;  // kept while certificates change
    FallbackCertificate fallback_;              // made when it is first needed
    std::map<std::string, Wanted> listeners_;   // by "udp ADDRESS:PORT"
};

}  // namespace smackd::edge
