// Which server a command talks to: SMACKD_URL, or the Unix socket of the node on this machine.
#pragma once

#include <string>

#include "cmd/smackd/command.h"

namespace smackd::cmd {

struct ServerAddress {
    std::string unix_path;  ///< or
    std::string host;
    uint16_t port = 0;
    bool tls = false;
    std::string kerberos_host;    ///< the HTTP service is HTTP/<this>
    std::string ca_pem;           ///< of the cluster, when this machine knows it; for TLS
    std::string local_directory;  ///< data directory of the node on this machine, when that is meant

    /// "https://n1:5050" or "unix:/var/lib/smackd/run/api.sock"; also names saved sessions.
    std::string to_string() const;
};

/// "http://localhost:5050" or "https://n1.example.org"; kInvalid names the rule. The port is 5050 when
/// absent.
core::Result<ServerAddress> parse_url(std::string_view url);

/// --url, then SMACKD_URL, then the node of --data-dir (by default /var/lib/smackd). kUnavailable says how to
/// name a server when there is none of these.
core::Result<ServerAddress> find_server(const Arguments& arguments);

/// The options find_server() reads, for command tables.
extern const std::vector<Option> kServerOptions;
/// `options` and kServerOptions.
std::vector<Option> with_server_options(std::vector<Option> options = {});

}  // namespace smackd::cmd
