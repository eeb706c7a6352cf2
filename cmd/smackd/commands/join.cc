#include "cmd/smackd/join.h"

#include <unistd.h>

#include <cstdlib>
#include <format>

#include "auth/identity.h"
#include "auth/join_client.h"
#include "auth/secret_file.h"
#include "cmd/smackd/bootstrap.h"
#include "cmd/smackd/commands/commands.h"
#include "cmd/smackd/commands/run_node.h"
#include "cmd/smackd/service_notice.h"
#include "cmd/smackd/version.h"

namespace smackd::cmd {
namespace {

inline constexpr size_t kKeytabFileBytesMax = 1024 * 1024;
inline constexpr const char* kSiteKrb5Conf = "/etc/krb5.conf";

core::Result<std::string> read_standard_input() {
    std::string text;
    char buffer[16 * 1024];
    ssize_t got = 0;
    while ((got = ::read(STDIN_FILENO, buffer, sizeof buffer)) > 0 && text.size() <= kBundleBytesMax)
        text.append(buffer, static_cast<size_t>(got));
    if (got < 0) return core::fail_errno(errno, "reading the bundle from standard input");
    return text;
}

core::Result<JoinBundle> bundle_from_file(const std::string& path) {
    TRY_ASSIGN(std::string text, path == "-" ? read_standard_input() : read_small_file(path));
    auto bundle = parse_bundle(text);
    if (!bundle) return core::pass(std::move(bundle), path == "-" ? "standard input" : path);
    return bundle;
}

/// KDCs: as typed, else the site's krb5.conf, else the seeds (an embedded realm).
std::vector<std::string> kdcs_of(const Arguments& arguments, const std::vector<JoinSeed>& seeds) {
    if (arguments.has("--kdc")) return arguments.all("--kdc");
    if (std::getenv("KRB5_CONFIG") != nullptr || ::access(kSiteKrb5Conf, R_OK) == 0) return {};
    std::vector<std::string> kdcs;
    for (const JoinSeed& seed : seeds)
        kdcs.push_back(std::format("{}:{}", bracketed_host_of(seed.address), kKdcPort));
    return kdcs;
}

core::Result<JoinBundle> bundle_from_flags(Context& context) {
    const Arguments& arguments = context.arguments;
    JoinBundle bundle;
    const std::string path = arguments.value("--keytab", Config{}.keytab);
    TRY_ASSIGN(const std::string own, auth::machine_principal_of_keytab(path));
    TRY_ASSIGN(const auth::Principal principal, auth::Principal::parse(own));
    if (principal.components.size() != 2)
        return core::fail(core::Errc::kInvalid, "keytab {}: {} is not smack/HOST@REALM", path, own);
    bundle.machine = principal.components[1];
    bundle.realm = principal.realm;
    TRY_ASSIGN(bundle.keytab, auth::read_secret_file(path, kKeytabFileBytesMax));
    TRY_ASSIGN(bundle.seeds,
               parse_seeds(arguments.all("--seed"), arguments.value("--seed-principal"), bundle.realm));
    for (const std::string& kdc : arguments.all("--kdc")) TRY(check_address("--kdc", kdc));
    bundle.kdcs = kdcs_of(arguments, bundle.seeds);
    return bundle;
}

core::Result<void> join(Context& context) {
    const Arguments& arguments = context.arguments;
    if (arguments.has("BUNDLE") == arguments.has("--seed")) {
        return context.usage(
            "join needs a BUNDLE (smackd machine add NAME --bundle FILE makes one), or --seed NAME "
            "--keytab FILE");
    }
    TRY_ASSIGN(Config config, start_config(context));
    JoinPlan plan;
    plan.directory = config.data_dir;
    plan.role = arguments.value("--role");
    plan.zone = arguments.value("--zone");
    plan.version = std::string(kVersion);
    TRY_ASSIGN(plan.bundle, arguments.has("BUNDLE") ? bundle_from_file(arguments.value("BUNDLE"))
                                                    : bundle_from_flags(context));
    // The name that others dial is the registered one, whatever the host calls itself.
    plan.address = arguments.value(
        "--advertise", std::format("{}:{}", plan.bundle.machine, port_of(config.cluster_address)));
    TRY(check_address("--advertise", plan.address));
    TRY_ASSIGN(const NodeIdentity identity, join_cluster(plan));
    const bool go_on = arguments.has("--start");
    context.output.say(std::format("{} joined cluster {} as node {} ({}).{}", identity.name,
                                   identity.cluster_name, identity.node_id, identity.role,
                                   go_on ? "" : "\nStart it with: " + start_command(plan.directory)));
    context.output.document(core::Json::object()
                                .set("node_id", std::to_string(identity.node_id))
                                .set("machine", identity.name)
                                .set("role", identity.role)
                                .set("cluster", identity.cluster_name)
                                .set("data_dir", plan.directory));
    if (!go_on) return {};
    config.node_name = identity.name;
    return run_node(context, config);
}

core::Result<void> renew(Context& context) {
    TRY_ASSIGN(const Config config, start_config(context));
    const DataDirectory directory(config.data_dir);
    const std::string own_conf = client_krb5_conf_path(directory);
    if (::access(own_conf.c_str(), R_OK) == 0) ::setenv("KRB5_CONFIG", own_conf.c_str(), 1);
    TRY_ASSIGN(const Renewal renewal, renew_certificate(directory, std::string(kVersion)));
    context.output.say(renewal.proved
                           ? "Renewed the certificate."
                           : "Renewed the certificate without a Kerberos proof: " + renewal.kdc_error);
    context.output.document(core::Json::object().set("proved", renewal.proved));
    return {};
}

}  // namespace

std::vector<Command> join_commands() {
    return {
        {"join",
         "makes this machine a node of a cluster",
         "smackd machine add n2 --bundle - | ssh n2 smackd join -",
         {{"BUNDLE", "what smackd machine add --bundle wrote; - is standard input", false}},
         {{"--seed", "NAME[:PORT]", "a member to ask, by the name it has in Kerberos (instead of a bundle)",
           true},
          {"--keytab", "FILE", "with --seed: this machine's keytab (default /etc/smackd/smackd.keytab)"},
          {"--seed-principal", "PRINCIPAL", "with --seed ADDRESS: whom to expect there (smack/NAME@REALM)"},
          {"--kdc", "HOST:PORT", "with --seed: a KDC of the realm (default: krb5.conf, then the seeds)",
           true},
          {"--role", "ROLE", "server or agent (default: what the registry allows)"},
          {"--zone", "ZONE", "where this machine stands, for placement"},
          {"--config", "FILE", "configuration (default /etc/smackd/smackd.toml)"},
          {"--data-dir", "DIR", "where everything is kept (default /var/lib/smackd)"},
          {"--advertise", "HOST:PORT",
           "what other nodes dial (default: the machine's name and the port below)"},
          {"--cluster-addr", "HOST:PORT", "where to listen for other servers (default 0.0.0.0:5055)"},
          {"--api-addr", "HOST:PORT", "with --start: API (default 0.0.0.0:5050)"},
          {"--kdc-addr", "HOST:PORT", "with --start: KDC of an embedded realm (default 0.0.0.0:88)"},
          {"--start", "", "goes on running as the node"},
          {"--log-level", "LEVEL", "with --start: debug, info, warning or error (default info)"}},
         join},
        {"renew",
         "renews this agent's certificate now, with a fresh key and a proof by its keytab",
         "smackd renew",
         {},
         {{"--config", "FILE", "configuration (default /etc/smackd/smackd.toml)"},
          {"--data-dir", "DIR", "where everything is kept (default /var/lib/smackd)"}},
         renew},
    };
}

}  // namespace smackd::cmd
