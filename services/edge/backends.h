// Backends as one data loop sees them: how busy each is, whether it answers, and connections kept for reuse.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/callback.h"
#include "core/ingress/routes.h"
#include "net/duplex.h"
#include "services/edge/ingress_counters.h"

namespace smackd::edge {

struct BackendLimits {
    size_t idle_per_backend = 128;
    core::Duration idle = std::chrono::seconds(30);  ///< then a kept connection is closed
    core::Duration fresh =
        std::chrono::milliseconds(200);  ///< so young a kept one may carry what cannot be sent twice
    core::Duration down_first =
        std::chrono::milliseconds(500);  ///< after a refused connection, doubled each time
    core::Duration down_most = std::chrono::seconds(8);
    /// A host that does not acknowledge what it was sent is lost after so long: before gossip knows, but not
    /// at a short pause of a virtual machine.
    core::Duration unacknowledged = std::chrono::seconds(2);
    core::Duration probe_after = std::chrono::seconds(2);  ///< while nothing is sent
    core::Duration unanswered = std::chrono::seconds(5);   ///< such probes: the host is lost
    core::Duration silence_look = std::chrono::seconds(1);
};

/// One IP address that backends are on.
struct HostState {
    uint32_t unanswered = 0;   ///< in a row: it neither took a connection nor refused one
    core::Instant down_until;  ///< until then its backends come last; then one request tries it
};

class Upstream;

/// One address. Lives while a table names it or a connection uses it.
struct BackendState {
    std::string address;
    net::Address target;
    std::vector<std::unique_ptr<Upstream>> idle;  ///< the youngest last
    uint32_t active = 0;                          ///< requests or connections now
    uint32_t failures = 0;                        ///< refused in a row
    core::Instant down_until;
    std::shared_ptr<HostState> host;
    bool wanted = true;  ///< a table names it
};

/// Who uses a connection to a backend.
class UpstreamUser {
 public:
    virtual ~UpstreamUser() = default;
    virtual void upstream_connected() = 0;
    virtual void upstream_bytes(core::BytesView bytes) = 0;
    virtual void upstream_end() = 0;
    virtual void upstream_drained() = 0;
    /// `silent`: its host does not answer, rather than that it refused or closed.
    virtual void upstream_failed(bool silent) = 0;
};

/// A connection to a backend, in use or kept.
class Upstream final : public net::Duplex::Handler {
 public:
    explicit Upstream(BackendState& backend) : backend_(backend) {}
    Upstream(const Upstream&) = delete;
    Upstream& operator=(const Upstream&) = delete;

    void connect(net::Loop& loop, net::SharedBuffer& buffer, core::Duration probe_after, UpstreamUser& user) {
        user_ = &user;
        duplex_ = net::connect_duplex(loop, buffer, backend_.target, *this, probe_after);
    }
    void use(UpstreamUser& user) { user_ = &user; }
    void keep(core::Instant now) {
        user_ = nullptr;
        kept_since = now;
    }
    net::Duplex& duplex() { return *duplex_; }
    BackendState& backend() { return backend_; }

    void on_connected() override {
        if (user_ != nullptr) user_->upstream_connected();
    }
    void on_bytes(core::BytesView bytes) override {
        user_ == nullptr ? drop() : user_->upstream_bytes(bytes);
    }
    void on_end() override { user_ == nullptr ? drop() : user_->upstream_end(); }
    void on_drained() override {
        if (user_ != nullptr) user_->upstream_drained();
    }
    void on_failed(const core::Error& why) override {
        user_ == nullptr ? drop() : user_->upstream_failed(why.code == core::Errc::kTimeout);
    }

    core::Instant kept_since;
    core::Instant silence_looked;  ///< when its host was last asked for

 private:
    /// A kept connection on which anything happens is of no more use.
    void drop();

    BackendState& backend_;
    UpstreamUser* user_ = nullptr;
    std::unique_ptr<net::Duplex> duplex_;
};

/// The state of a pool over all tables.
struct PoolState {
    uint32_t cursor = 0;
    PoolCounters counters;
};

class Backends {
 public:
    Backends(net::Loop& loop, net::SharedBuffer& buffer, BackendLimits limits = {});
    ~Backends();
    Backends(const Backends&) = delete;
    Backends& operator=(const Backends&) = delete;

    /// Connections kept to what the table no longer names are closed at once.
    void set_routes(const core::ingress::Routes& routes);
    PoolState& pool(const core::ingress::Pool& of);
    const std::map<std::string, std::unique_ptr<PoolState>>& pools() const { return pools_; }

    /// A backend of the pool that is not in `tried` and that the table in force names, by the pool's rule;
    /// those that refused lately come last. nullptr when none is left. `cookie` (not 0) prefers the backend
    /// it stands for.
    BackendState* choose(const core::ingress::Pool& of, const std::vector<BackendState*>& tried,
                         uint32_t cookie);
    /// A kept connection, or nullptr. `repeatable`: what is to be sent may be sent again.
    std::unique_ptr<Upstream> take_idle(BackendState& backend, bool repeatable);
    std::unique_ptr<Upstream> connect(BackendState& backend, UpstreamUser& user);
    /// True when the host at the other end is gone. A system call a second, and only once nothing has come
    /// for a while: `progressed` is when something last did.
    bool is_lost(Upstream& upstream, core::Instant progressed) const;
    void keep(std::unique_ptr<Upstream> upstream);
    void connected(BackendState& backend) {
        backend.failures = 0;
        backend.host->unanswered = 0;
    }
    void refused(BackendState& backend);
    /// Nobody answers at its host: all backends there come last for a while.
    void unanswered(BackendState& backend);
    /// Counts a request or connection of `backend`, and its end.
    void begin(BackendState& backend) { ++backend.active; }
    void end(BackendState& backend);
    void sweep();
    /// Calls `done` once no table names these addresses and nothing is under way to them; soon it may be.
    void await_release(std::vector<std::string> addresses, core::Callback<void()> done);

 private:
    struct Release {
        std::vector<std::string> addresses;
        core::Callback<void()> done;
    };
    BackendState* find(const std::string& address);
    void name(const std::string& address);
    bool is_free(const std::string& address);
    std::shared_ptr<HostState> host_of(const std::string& address);
    core::Duration pause_after(uint32_t failures) const;
    void settle_releases();

    net::Loop& loop_;
    net::SharedBuffer& buffer_;
    BackendLimits limits_;
    std::unordered_map<std::string, std::unique_ptr<BackendState>> backends_;
    std::map<std::string, std::weak_ptr<HostState>> hosts_;  // by IP address
    std::map<std::string, std::unique_ptr<PoolState>> pools_;
    std::vector<Release> releases_;
};

}  // namespace smackd::edge
