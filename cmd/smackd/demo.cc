#include "cmd/smackd/demo.h"

#include <unistd.h>

#include <cstdlib>
#include <format>

#include "auth/identity.h"
#include "cmd/smackd/bootstrap.h"
#include "cmd/smackd/log_sink.h"
#include "cmd/smackd/node/node.h"
#include "cmd/smackd/signals.h"

namespace smackd::cmd {
namespace {

// In single quotes nothing is special to a shell but the single quote.
std::string shell_quoted(std::string_view text) {
    std::string out = "'";
    for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

core::Result<DemoAddresses> addresses_of(Context& context) {
    DemoAddresses addresses;
    struct Flag {
        std::string_view name;
        std::string& address;
    };
    for (const Flag& flag : {Flag{"--api-addr", addresses.api}, Flag{"--cluster-addr", addresses.cluster},
                             Flag{"--dns-addr", addresses.dns}, Flag{"--http-addr", addresses.http},
                             Flag{"--https-addr", addresses.https}, Flag{"--kdc-addr", addresses.kdc}}) {
        if (!context.arguments.has(flag.name)) continue;
        flag.address = context.arguments.value(flag.name);
        auto checked = check_address(flag.name, flag.address);
        if (!checked) return context.usage(checked.error().message);
    }
    return addresses;
}

core::Result<std::string> absolute(const std::string& path) {
    if (path.starts_with("/")) return path;
    char buffer[4096];
    if (::getcwd(buffer, sizeof buffer) == nullptr)
        return core::fail_errno(errno, "finding the current directory");
    return std::format("{}/{}", buffer, path);
}

std::string program_folder() {
    char buffer[4096];
    ssize_t length = ::readlink("/proc/self/exe", buffer, sizeof buffer);
    std::string path(buffer, length > 0 ? static_cast<size_t>(length) : 0);
    return path.substr(0, path.rfind('/'));
}

core::Result<void> make_if_new(const std::string& directory, const DemoAddresses& addresses, Output& output) {
    auto identity = read_identity(DataDirectory(directory));
    if (identity) return {};
    if (identity.error().code != core::Errc::kNotFound) return core::pass(std::move(identity));
    BootstrapPlan plan;
    plan.directory = directory;
    plan.node_name = kDemoHost;
    plan.cluster_name = "demo";
    plan.realm = kDemoRealm;
    plan.embedded_realm = true;
    plan.cluster_address = addresses.cluster;
    TRY_ASSIGN(Bootstrapped made, bootstrap(std::move(plan)));
    output.say(recovery_notice(made) + "\n");
    return {};
}

NodeOptions node_options(const std::string& directory, const DemoAddresses& addresses, core::LogSink& log) {
    NodeOptions options;
    options.config.data_dir = directory;
    options.config.node_name = kDemoHost;
    options.config.api_address = addresses.api;
    options.config.cluster_address = addresses.cluster;
    options.config.kdc_address = addresses.kdc;
    options.config.edge.dns = {{addresses.dns}};
    options.config.edge.http = {{addresses.http}};
    options.config.edge.https = {{addresses.https}};
    options.demo = true;
    options.log = &log;
    return options;
}

}  // namespace

std::string demo_url(const DemoAddresses& addresses) {
    return std::format("http://{}:{}", kDemoHost, port_of(addresses.api));
}

std::string demo_environment(const std::string& directory, const DemoAddresses& addresses,
                             const std::string& program_folder) {
    DataDirectory data(directory);
    std::string out = "# Made by `smackd demo`; use it by:  . " + directory + "/demo.env\n";
    auto set = [&out](std::string_view name, std::string_view value) {
        out += std::format("export {}={}\n", name, shell_quoted(value));
    };
    set("SMACKD_URL", demo_url(addresses));
    set("SMACKD_DNS", addresses.dns);
    set("SMACKD_INGRESS", addresses.http);
    set("SMACKD_INGRESS_TLS", addresses.https);
    set("KRB5_CONFIG", client_krb5_conf_path(data));
    set("KRB5CCNAME", "FILE:" + directory + "/demo.ccache");
    set("SMACKD_KEYTAB", admin_keytab_path(data));
    set("SMACKD_PRINCIPAL", auth::user_principal(kDefaultAdmin, kDemoRealm));
    out += std::format("case \":$PATH:\" in *{0}*) ;; *) PATH={1}\":$PATH\"; export PATH ;; esac\n",
                       shell_quoted(":" + program_folder + ":"), shell_quoted(program_folder));
    return out;
}

core::Result<void> run_demo(Context& context) {
    TRY_ASSIGN(DemoAddresses addresses, addresses_of(context));
    if (::geteuid() != 0) {
        return core::fail(
            core::Errc::kDenied,
            "the demo needs root: it isolates applications with namespaces and cgroups, and its KDC runs "
            "as a user of its own; run it with sudo");
    }
    if (!context.arguments.has("--data-dir"))
        return context.usage("--data-dir DIR is missing: where the demo keeps everything");
    TRY_ASSIGN(std::string directory, absolute(context.arguments.value("--data-dir")));
    block_stop_signals();
    DescriptorLogSink log(STDERR_FILENO, context.arguments.has("--verbose") ? core::LogLevel::kDebug
                                                                            : core::LogLevel::kWarning);
    TRY(make_if_new(directory, addresses, context.output));
    TRY_ASSIGN(auto node, Node::start(node_options(directory, addresses, log)));
    auto ready = node->wait_ready();
    if (!ready && ready.error().code == core::Errc::kCancelled) return {};  // ^C before it was ready
    TRY(std::move(ready));
    TRY(replace_file(directory + "/demo.env", demo_environment(directory, addresses, program_folder()),
                     0644));
    print(std::format("ready {}  (for a shell:  . {}/demo.env )\n", demo_url(addresses), directory));
    wait_for_stop_signal();
    node->stop();
    return {};
}

}  // namespace smackd::cmd
