// The certificates that a node's edge shows: the operator's files, and for every other virtual host one by
// the cluster's CA.
//
// Those of the CA live for 24 hours and are renewed from half of that on. They are kept on disk beside their
// key, so that a node that starts with all servers away has them. Without any the edge falls back to one that
// nobody trusts.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/callback.h"
#include "core/clock.h"
#include "core/logger.h"
#include "core/wire/edge.pb.h"
#include "net/loop.h"
#include "net/scope.h"
#include "net/worker_pool.h"

namespace smackd::cmd {

/// How often the operator's files are looked at.
inline constexpr core::Duration kCertificateFileLook = core::seconds(10);
/// After no server gave certificates.
inline constexpr core::Duration kEdgeIssueRetry = core::seconds(10);
/// A name that was not given is asked for again.
inline constexpr core::Duration kEdgeRefusedRetry = core::seconds(300);
/// Virtual hosts with a certificate of their own; those above share the node's.
inline constexpr size_t kEdgeIssuedMax = 4096;

using IssueCertificates =
    core::Callback<net::Task<core::Result<wire::EdgeIssuedCertificates>>(wire::EdgeCertificateRequest)>;

/// Loop thread.
class EdgeCertificates {
 public:
    /// All outlive it.
    struct Environment {
        net::Loop& loop;
        net::WorkerPool& workers;
        core::Clock& clock;
        core::Logger logger;
        IssueCertificates issue;
        core::Callback<void()> changed;  ///< fill() has more to say; never from within look()
    };
    /// `files`: one certificate each. `store`: where those of the CA are kept.
    EdgeCertificates(std::vector<std::string> files, std::string store, Environment environment);

    /// The virtual hosts as they are now. To be called at least once a minute: nothing else renews.
    void look(std::set<std::string> hosts);
    void fill(wire::EdgeTable& table) const;
    net::Task<void> close();

 private:
    struct File {
        std::string stamp;            // of what was read
        std::string problem;          // with that
        wire::EdgeCertificate row{};  // the last good one; without a chain: none
    };
    net::Task<void> read_files();
    net::Task<void> issue();
    net::Task<core::Result<void>> issue_some(std::vector<std::string> names);
    std::vector<std::string> due() const;
    bool is_covered(const std::string& host) const;
    bool is_old(const wire::EdgeIssuedCertificate& certificate) const;
    core::Result<void> make_key();
    void load();
    void save();

    std::map<std::string, File> files_;
    std::string store_;
    Environment environment_;
    net::Scope scope_;
    std::set<std::string> hosts_;
    std::string key_pem_;
    std::string public_key_pem_;
    std::map<std::string, wire::EdgeIssuedCertificate> issued_;  // by name; "": the node's own
    std::map<std::string, core::Instant> refused_;
    core::Instant files_again_{};
    core::Instant issue_again_{};
    bool reading_ = false;
    bool issuing_ = false;
    bool told_ = false;  // that no server gives any
};

}  // namespace smackd::cmd
