// GET over HTTP and HTTPS for images and artifacts: checked addresses, redirections without credentials,
// limits.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/units.h"
#include "net/http/client.h"
#include "net/loop.h"
#include "net/task.h"
#include "net/tls/tls.h"
#include "services/images/address_rules.h"
#include "services/images/url.h"

namespace smackd::services::images {

inline constexpr core::Duration kConnectLimit = std::chrono::seconds(20);
inline constexpr core::Duration kHeadLimit =
    std::chrono::seconds(60);  ///< from the request to the end of the head
inline constexpr core::Duration kIdleLimit = std::chrono::seconds(60);  ///< between two pieces of a body
inline constexpr size_t kRedirectionsMax = 5;

/// Makes the TCP connections.
class Connector {
 public:
    virtual ~Connector() = default;
    /// kDenied when the rules forbid every address of the host; kNotFound, kUnavailable, kTimeout.
    virtual net::Task<core::Result<std::unique_ptr<net::Stream>>> connect(const Url& url) = 0;
};

/// Resolves, checks every address and connects to one that passed.
class CheckedConnector final : public Connector {
 public:
    /// `trusted` are HOST:PORT that the operator named: no rule holds for them.
    CheckedConnector(net::Loop& loop, AddressRules rules, std::vector<std::string> trusted)
        : loop_(loop), rules_(std::move(rules)), trusted_(std::move(trusted)) {}
    net::Task<core::Result<std::unique_ptr<net::Stream>>> connect(const Url& url) override;
    bool trusts(const Url& url) const;
    /// For connections that are made from now on.
    void set_rules(AddressRules rules) { rules_ = std::move(rules); }

 private:
    net::Loop& loop_;
    AddressRules rules_;
    std::vector<std::string> trusted_;
};

struct GetRequest {
    Url url;
    net::http::Headers headers{};
    std::string authorization{};  ///< sent to the origin of `url` alone
};

/// The head of an answer, with its body still to be read from `connection`.
struct GetResponse {
    std::unique_ptr<net::http::ClientConnection> connection;
    net::http::ClientResponse head;
    Url url;  ///< after redirections
    /// 1..size bytes; 0 at the end. kTimeout when nothing comes for kIdleLimit.
    net::Task<core::Result<size_t>> read(net::Loop& loop, char* buffer, size_t size);
    /// The whole body; kInvalid when it is longer than `limit`.
    net::Task<core::Result<std::string>> read_all(net::Loop& loop, size_t limit);
};

class HttpGetter {
 public:
    /// All outlive it. `tls_config` checks certificates.
    HttpGetter(net::Loop& loop, net::TlsEngine& tls, std::shared_ptr<const net::TlsConfig> tls_config,
               Connector& connector)
        : loop_(loop), tls_(tls), tls_config_(std::move(tls_config)), connector_(connector) {}

    /// Follows up to kRedirectionsMax redirections; one from https to http is refused (kDenied). Any status
    /// else is an answer.
    net::Task<core::Result<GetResponse>> get(GetRequest request);
    net::Loop& loop() { return loop_; }

 private:
    net::Task<core::Result<GetResponse>> get_once(const GetRequest& request, bool with_authorization);

    net::Loop& loop_;
    net::TlsEngine& tls_;
    std::shared_ptr<const net::TlsConfig> tls_config_;
    Connector& connector_;
};

}  // namespace smackd::services::images
