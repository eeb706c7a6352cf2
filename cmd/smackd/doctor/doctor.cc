#include "cmd/smackd/doctor/doctor.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <format>

#include "auth/kdc_process.h"
#include "cmd/smackd/bootstrap.h"
#include "cmd/smackd/client/api_client.h"
#include "cmd/smackd/client/deadline.h"
#include "cmd/smackd/commands/run_node.h"
#include "cmd/smackd/config_text.h"
#include "cmd/smackd/doctor/data.h"
#include "cmd/smackd/doctor/kerberos.h"
#include "cmd/smackd/doctor/machine.h"
#include "cmd/smackd/doctor/names.h"
#include "cmd/smackd/doctor/peers.h"
#include "cmd/smackd/doctor/ports.h"
#include "cmd/smackd/doctor/settings.h"
#include "cmd/smackd/node/own_address.h"
#include "net/system_clock.h"
#include "services/agent/bridge.h"

namespace smackd::cmd {
namespace {

void add(Findings& out, Findings more) {
    std::ranges::move(more, std::back_inserter(out));
}

std::vector<std::string> hosts_of(const std::vector<std::string>& addresses) {
    std::vector<std::string> hosts;
    for (const std::string& address : addresses) {
        std::string host = host_of(address);
        const bool name = host.find_first_not_of("0123456789.:") != std::string::npos;
        if (name && !std::ranges::contains(hosts, host)) hosts.push_back(std::move(host));
    }
    return hosts;
}

bool on_loopback(const Config& config) {
    const std::string host = host_of(config.cluster_address);
    return host.starts_with("127.") || host == "localhost" || host == "::1";
}

KerberosChecks kerberos_checks(const DataDirectory& directory, const Config& config, const NodeIdentity& node,
                               bool runs) {
    KerberosChecks checks{node.name, node.realm, config.keytab, node.embedded_realm, node.role == "server"};
    const std::string own = node_keytab_path(directory);
    const bool absent = ::access(config.keytab.c_str(), F_OK) != 0;
    if (node.embedded_realm || (absent && ::access(own.c_str(), F_OK) == 0)) checks.keytab = own;
    if (!node.embedded_realm) return checks;
    const std::string conf = client_krb5_conf_path(directory);
    if (::access(conf.c_str(), R_OK) == 0) auth::set_kerberos_environment(conf);
    auto kdcs = auth::configured_kdcs(node.realm);
    if (!kdcs) return checks;
    // The KDC of a server that is stopped is stopped with it.
    std::vector<std::string>& asked = checks.kdcs.emplace();
    const std::string own_kdc = host_of(node.address.empty() ? node.name + ":0" : node.address);
    for (const std::string& kdc : *kdcs) {
        const bool ours = checks.server && (host_of(kdc) == own_kdc || host_of(kdc).starts_with("127."));
        if (runs || !ours) asked.push_back(kdc);
    }
    return checks;
}

/// A daemon that runs may have been given other settings, by flags.
void read_running_settings(const DataDirectory& directory, Config& config) {
    auto text = read_small_file(running_settings_path(directory));
    Config running;
    if (text && read_config(*text, running_settings_path(directory), running)) config = std::move(running);
}

std::string own_address(const Config& config, const NodeIdentity* node) {
    if (!config.tasks.address.empty()) return config.tasks.address;
    std::string advertised = config.advertise_address;
    if (node != nullptr) advertised = node->address.empty() ? node->name + ":0" : node->address;
    auto found = run_with_deadline<std::string>(
        kNameLimit, "looking up " + advertised,
        [advertised]() -> core::Result<std::string> { return find_own_address(advertised); });
    return found.value_or("");
}

/// What is looked at of a machine that is or shall be a node. The order is that of causes: a wrong clock
/// makes tickets fail, not the other way round. Whether a server with an API runs here.
bool examine_node(Context& context, Findings& out) {
    const Arguments& arguments = context.arguments;
    Config config;
    auto loaded = start_config(context);
    if (loaded) config = *loaded;
    if (!loaded) config.data_dir = arguments.value("--data-dir", config.data_dir);
    const DataDirectory directory(config.data_dir);
    const int pid = daemon_of(directory);
    if (pid != 0) read_running_settings(directory, config);
    const std::string agent = agent::agent_name(directory.agent());
    if (::geteuid() != 0)
        out.push_back(warned("user", "this is not root: what only root may look at is left out",
                             "run the doctor as root on a node", "sudo smackd doctor"));
    add(out, examine_machine({config.tasks.run, agent, config.tasks.network, pid}));
    DataFacts facts;
    add(out, examine_data(directory, pid, facts));
    const NodeIdentity* node = facts.identity ? &*facts.identity : nullptr;
    out.push_back(loaded ? judge_settings(config, node) : wrong_settings(loaded.error(), arguments));
    if (loaded) add(out, examine_files(config));
    const std::string name = node != nullptr ? node->name : config.node_name;
    if (node != nullptr) {
        auto voters = read_initial_voters(directory);
        for (const InitialVoter& voter : voters.value_or(std::vector<InitialVoter>{}))
            facts.servers.push_back(voter.address);
    }
    add(out, examine_names({name, on_loopback(config), hosts_of(facts.servers)}));
    const bool server = node == nullptr || node->role == "server";
    const bool kdc = node != nullptr && server && node->embedded_realm;
    const std::string address = own_address(config, node);
    add(out, examine_ports({directory, pid, wanted_ports(config, server, kdc, address)}));
    for (const std::string& seed : arguments.all("--seed")) out.push_back(examine_seed(seed));
    if (node == nullptr) return false;
    const KerberosChecks kerberos = kerberos_checks(directory, config, *node, pid != 0);
    add(out, examine_kerberos(kerberos));
    add(out, examine_peers({directory, *node, facts.servers, pid == 0}));
    return pid != 0 && server;
}

std::string fix_of_alarm(const std::string& name) {
    if (name == "log_write" || name == "apply_stopped") return "df -h /var/lib/smackd";
    if (name == "older_epoch" || name == "recovered_apart")
        return "rm -r /var/lib/smackd   # then smackd join";
    if (name == "backup_failed") return "smackd backup list";
    return "journalctl -u smackd -p err";
}

void examine_server(const Arguments& arguments, Findings& out) {
    auto client = ApiClient::open(arguments);
    if (!client) {
        out.push_back(failed("server", client.error().message, "start smackd, or name a server",
                             "systemctl start smackd"));
        return;
    }
    auto credential = find_credential((*client)->server());
    out.push_back(credential ? fine("ticket", std::format("you are {}", (*credential)->principal()))
                             : failed("ticket", credential.error().message,
                                      "check the KDC, your keytab and your clock", "kinit"));
    auto status = (*client)->get("/smack/v1/status");
    if (!status) {
        out.push_back(
            failed("server", status.error().message, "the message says what to do", "smackd whoami"));
        return;
    }
    const bool led = !(*status)["leader"].is_null();
    out.push_back(
        led ? fine("server", std::format("{} answers; the leader is {}", (*client)->server().to_string(),
                                         cell_text((*status)["leader"]["machine"])))
            : failed("server", "there is no leader",
                     "are most servers of the cluster up, and can they reach each other?",
                     "smackd node list"));
    for (const core::Json& alarm : (*status)["alarms"].as_array()) {
        const std::string name = alarm["name"].as_string();
        out.push_back(failed("alarm " + name, cell_text(alarm["message"]),
                             "docs/operate.md has what to do for each alarm", fix_of_alarm(name)));
    }
    tm parts{};
    if (::strptime((*client)->server_date().c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts) == nullptr) return;
    // The header has whole seconds.
    int64_t ours = net::SystemClock().wall().unix_ms;
    const int64_t theirs = ::timegm(&parts) * 1000;
    if (ours >= theirs && ours < theirs + 1000) ours = theirs;
    out.push_back(judge_clock(ours, theirs, "the server's"));
}

}  // namespace

Findings examine(Context& context) {
    Findings out;
    const Arguments& arguments = context.arguments;
    const char* url = std::getenv("SMACKD_URL");
    const bool remote =
        arguments.has("--url") || (url != nullptr && *url != '\0' && !arguments.has("--data-dir"));
    if (remote || examine_node(context, out)) examine_server(arguments, out);
    return out;
}

std::vector<Option> doctor_options() {
    return {{"--config", "FILE", "configuration (default /etc/smackd/smackd.toml)"},
            {"--seed", "NAME[:PORT]", "on a machine that is to join: a member to look for", true}};
}

}  // namespace smackd::cmd
