// The certificates this node shows, kept fresh: mutual TLS between servers and the API's door.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cmd/smackd/node_keys.h"
#include "core/clock.h"
#include "core/logger.h"
#include "net/tls/config.h"

namespace smackd::cmd {

/// How often the life of the certificates is looked at; they are renewed in the second half of their 24
/// hours. Often, because a wall clock can step: a machine that was suspended wakes up with expired ones.
inline constexpr core::Duration kCertificateCheck = std::chrono::seconds(20);

/// The getters may be called on any thread; make() and renew() on one at a time.
class TlsIdentities {
 public:
    struct Parts {
        DataDirectory directory;
        NodeIdentity node;
        std::vector<std::string> api_names;  ///< host names and addresses of the API's certificate
    };
    /// Reads or issues the certificates. `ca` outlives this object.
    static core::Result<std::unique_ptr<TlsIdentities>> make(Parts parts, const auth::ClusterCa& ca,
                                                             const core::Clock& clock, core::Logger logger);

    std::shared_ptr<const net::TlsConfig> peer_server() const { return get(peer_server_); }
    std::shared_ptr<const net::TlsConfig> peer_client() const { return get(peer_client_); }
    std::shared_ptr<const net::TlsConfig> api_server() const { return get(api_server_); }

    /// Replaces what has lived half its life. A failure is logged and tried again later: connections go on
    /// with the certificates they have.
    void renew();

 private:
    using Config = std::shared_ptr<const net::TlsConfig>;  // shared: connections keep the one they began with
    TlsIdentities(Parts parts, const auth::ClusterCa& ca, const core::Clock& clock, core::Logger logger);
    Config get(const Config& config) const;
    core::Result<void> issue_node();
    core::Result<void> issue_api();
    bool is_old(const TlsIdentity& identity) const;

    Parts parts_;
    const auth::ClusterCa& ca_;
    const core::Clock& clock_;
    core::Logger logger_;
    TlsIdentity node_;
    TlsIdentity api_;
    mutable std::mutex mutex_;
    Config peer_server_;
    Config peer_client_;
    Config api_server_;
};

}  // namespace smackd::cmd
