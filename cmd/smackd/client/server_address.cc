#include "cmd/smackd/client/server_address.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <format>

#include "auth/kdc_process.h"
#include "cmd/smackd/bootstrap.h"
#include "cmd/smackd/config.h"
#include "cmd/smackd/data_directory.h"

namespace smackd::cmd {
namespace {

inline constexpr uint16_t kApiPort = 5050;

// The embedded realm's KDCs stand in the node's own krb5.conf; what the user set goes first. Before any
// thread.
void use_realm_of(const DataDirectory& directory) {
    const char* set = std::getenv("KRB5_CONFIG");
    std::string path = client_krb5_conf_path(directory);
    if (set == nullptr && ::access(path.c_str(), R_OK) == 0) auth::set_kerberos_environment(path);
}

/// Says the next step.
std::unexpected<core::Error> not_running(const DataDirectory& directory) {
    if (::access(directory.identity().c_str(), F_OK) == 0) {
        return core::fail(
            core::Errc::kUnavailable,
            "the smackd of {} does not run; start it (systemctl start smackd, or smackd start), "
            "or name a server: SMACKD_URL=https://HOST:5050 or --url",
            directory.path());
    }
    return core::fail(core::Errc::kUnavailable,
                      "this machine is no node yet (nothing in {}); to try everything here: 'smackd demo "
                      "--data-dir DIR'; to "
                      "make the first node of a new cluster: 'smackd realm init REALM', then 'systemctl "
                      "start smackd'; to join "
                      "a cluster, type there: 'smackd machine add NAME --bundle - | ssh NAME smackd join -'; "
                      "to ask a server "
                      "elsewhere: SMACKD_URL=https://HOST:5050 or --url",
                      directory.path());
}

core::Result<ServerAddress> local_server(const std::string& path) {
    DataDirectory directory(path);
    ServerAddress server;
    server.unix_path = directory.api_socket();
    server.local_directory = path;
    if (::access(server.unix_path.c_str(), F_OK) != 0) return not_running(directory);
    if (::access(server.unix_path.c_str(), W_OK) != 0) {
        return core::fail(core::Errc::kDenied,
                          "the socket {} is for root; use sudo, or SMACKD_URL=https://HOST:5050",
                          server.unix_path);
    }
    auto identity = read_identity(directory);
    if (!identity) return core::pass(std::move(identity));
    server.kerberos_host = identity->name;
    use_realm_of(directory);
    return server;
}

}  // namespace

const std::vector<Option> kServerOptions{
    {"--url", "URL", "the server (default: SMACKD_URL, then the node on this machine)"},
    {"--data-dir", "DIR", "data directory of the node on this machine (default: /var/lib/smackd)"},
};

std::vector<Option> with_server_options(std::vector<Option> options) {
    options.insert(options.end(), kServerOptions.begin(), kServerOptions.end());
    return options;
}

std::string ServerAddress::to_string() const {
    if (!unix_path.empty()) return "unix:" + unix_path;
    bool bracket = host.find(':') != std::string::npos;
    return std::format("{}://{}{}{}:{}", tls ? "https" : "http", bracket ? "[" : "", host, bracket ? "]" : "",
                       port);
}

core::Result<ServerAddress> parse_url(std::string_view url) {
    ServerAddress server;
    std::string_view rest = url;
    if (rest.starts_with("https://")) {
        server.tls = true;
        rest.remove_prefix(8);
    } else if (rest.starts_with("http://")) {
        rest.remove_prefix(7);
    } else {
        return core::fail(core::Errc::kInvalid, "the server's URL '{}' must begin with https:// or http://",
                          url);
    }
    if (rest.ends_with('/')) rest.remove_suffix(1);
    bool has_port = rest.rfind(':') != std::string_view::npos && !rest.ends_with(']');
    std::string address = has_port ? std::string(rest) : std::format("{}:{}", rest, kApiPort);
    if (rest.find('/') != std::string_view::npos) {
        return core::fail(core::Errc::kInvalid, "the server's URL '{}' must have no path", url);
    }
    TRY(check_address("the server's URL", address));
    server.host = host_of(address);
    server.port = port_of(address);
    server.kerberos_host = server.host;
    return server;
}

core::Result<ServerAddress> find_server(const Arguments& arguments) {
    if (arguments.has("--url")) return parse_url(arguments.value("--url"));
    const char* url = std::getenv("SMACKD_URL");
    if (url != nullptr && *url != '\0' && !arguments.has("--data-dir")) return parse_url(url);
    Config config;
    return local_server(arguments.value("--data-dir", config.data_dir));
}

}  // namespace smackd::cmd
