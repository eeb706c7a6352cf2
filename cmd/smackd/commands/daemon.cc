#include <unistd.h>

#include <format>

#include "cmd/smackd/bootstrap.h"
#include "cmd/smackd/commands/commands.h"
#include "cmd/smackd/commands/run_node.h"
#include "cmd/smackd/demo.h"
#include "cmd/smackd/journal_sink.h"
#include "cmd/smackd/log_sink.h"
#include "cmd/smackd/node/halt.h"
#include "cmd/smackd/node/node.h"
#include "cmd/smackd/service_notice.h"
#include "cmd/smackd/signals.h"

namespace smackd::cmd {

// Flags go over the environment, which goes over the file.
core::Result<Config> start_config(Context& context) {
    Config config;
    std::string path = context.arguments.value("--config", kConfigPath);
    TRY(load_config(path, context.arguments.has("--config"), config));
    TRY(read_environment(config));
    struct Flag {
        std::string_view option;
        std::string_view key;
    };
    for (const Flag& flag :
         {Flag{"--data-dir", "data_dir"}, Flag{"--node-name", "node.name"}, Flag{"--api-addr", "listen.api"},
          Flag{"--cluster-addr", "listen.cluster"}, Flag{"--kdc-addr", "listen.kdc"},
          Flag{"--advertise", "node.advertise"}, Flag{"--keytab", "kerberos.keytab"},
          Flag{"--log-level", "log.level"}, Flag{"--dns-addr", "listen.dns"},
          Flag{"--http-addr", "listen.http"}, Flag{"--https-addr", "listen.https"},
          Flag{"--cpus", "tasks.cpus"}, Flag{"--memory", "tasks.memory"}}) {
        if (!context.arguments.has(flag.option)) continue;
        for (const ConfigKey& key : config_keys()) {
            if (key.name != flag.key) continue;
            auto set = key.set(config, split_value(key, context.arguments.value(flag.option)));
            if (!set) return context.usage(std::format("{}: {}", flag.option, set.error().message));
        }
    }
    if (context.arguments.has("--no-tasks")) config.tasks.run = false;
    if (config.node_name.empty()) config.node_name = host_name();
    if (config.advertise_address.empty()) {
        config.advertise_address = std::format("{}:{}", config.node_name, port_of(config.cluster_address));
    }
    return config;
}

namespace {

core::Result<void> bootstrap_first(Context& context, const Config& config) {
    bool embedded = context.arguments.has("--embedded-realm");
    if (embedded == context.arguments.has("--realm")) {
        return context.usage(
            "--bootstrap needs --embedded-realm NAME (a realm of its own) or --realm NAME --keytab FILE");
    }
    BootstrapPlan plan;
    plan.directory = config.data_dir;
    plan.node_name = config.node_name;
    plan.cluster_name = context.arguments.value("--cluster-name", plan.cluster_name);
    plan.realm = context.arguments.value(embedded ? "--embedded-realm" : "--realm");
    plan.embedded_realm = embedded;
    plan.keytab = config.keytab;
    plan.admin = context.arguments.value("--admin", kDefaultAdmin);
    plan.cluster_address = config.advertise_address;
    plan.http_names = config.host_names;
    TRY_ASSIGN(Bootstrapped made, bootstrap(std::move(plan)));
    context.output.say(recovery_notice(made) + "\n");
    return {};
}

core::Result<void> start(Context& context) {
    TRY_ASSIGN(Config config, start_config(context));
    for (const char* option : {"--embedded-realm", "--realm", "--admin", "--cluster-name"}) {
        if (context.arguments.has(option) && !context.arguments.has("--bootstrap")) {
            return context.usage(std::format("{} is for --bootstrap only", option));
        }
    }
    if (context.arguments.has("--bootstrap")) TRY(bootstrap_first(context, config));
    return run_node(context, config);
}

core::Result<void> halt_node(Context& context) {
    TRY_ASSIGN(const Config config, start_config(context));
    DescriptorLogSink log(STDERR_FILENO, core::LogLevel::kWarning);
    Halted halted;
    const DataDirectory directory(config.data_dir);
    const bool is_node = ::access(directory.identity().c_str(), F_OK) == 0;
    if (is_node) {
        TRY_ASSIGN(halted, halt(directory, core::Logger(&log, "halt")));
    }
    context.output.say(
        halted.tasks.empty() && !halted.edge
            ? "Nothing ran."
            : std::format("Ended {} tasks{}.", halted.tasks.size(), halted.edge ? " and the edge" : ""));
    core::Json tasks = core::Json::array();
    for (const std::string& id : halted.tasks) tasks.push(id);
    context.output.document(core::Json::object().set("tasks", std::move(tasks)).set("edge", halted.edge));
    return {};
}

core::Result<std::unique_ptr<core::LogSink>> open_log(const Config& config) {
    if (config.log_file.empty()) return standard_log(config.log_level);
    TRY_ASSIGN(const int descriptor, DescriptorLogSink::open_file(config.log_file));
    return std::make_unique<DescriptorLogSink>(descriptor, config.log_level);
}

}  // namespace

core::Result<void> run_node(Context& context, const Config& config) {
    block_stop_signals();
    ServiceNotice notice;
    TRY_ASSIGN(const std::unique_ptr<core::LogSink> log, open_log(config));
    NodeOptions options;
    options.config = config;
    options.log = log.get();
    TRY_ASSIGN(auto node, Node::start(std::move(options)));
    auto ready = node->wait_ready();
    if (!ready && ready.error().code != core::Errc::kCancelled && !node->removed()) return ready;
    if (ready && node->identity().role == "agent")
        print(std::format("ready agent {}\n", node->identity().name));
    if (ready && node->identity().role != "agent")
        print(std::format("ready https://{}:{}\n", node->identity().name, port_of(config.api_address)));
    if (ready) notice.ready();
    wait_for_stop_signal();
    notice.stopping();
    node->stop();
    const auto removed = node->removed();
    if (!removed) return {};
    context.exit_code = kExitRemoved;
    return core::fail(core::Errc::kDenied, "{}: to use this machine again, empty {} and let it join anew",
                      removed->message, config.data_dir);
}

std::vector<Command> daemon_commands() {
    return {
        {"demo",
         "runs a cloud of one node in the foreground, with its own Kerberos realm",
         "smackd demo --data-dir /tmp/demo",
         {},
         {{"--data-dir", "DIR", "where everything is kept (needed)"},
          {"--api-addr", "HOST:PORT", "API and dashboard (default 127.0.0.1:5050)"},
          {"--cluster-addr", "HOST:PORT", "for other servers (default 127.0.0.1:5055)"},
          {"--dns-addr", "HOST:PORT", "DNS (default 127.0.0.1:5053)"},
          {"--http-addr", "HOST:PORT", "ingress (default 127.0.0.1:8000)"},
          {"--https-addr", "HOST:PORT", "ingress with TLS (default 127.0.0.1:8443)"},
          {"--kdc-addr", "HOST:PORT", "Kerberos (default 127.0.0.1:5088)"},
          {"--verbose", "", "log more"}},
         run_demo},
        {"start",
         "runs this machine's node (the service)",
         "smackd start --bootstrap --embedded-realm EXAMPLE.ORG",
         {},
         {{"--config", "FILE", "configuration (default /etc/smackd/smackd.toml)"},
          {"--data-dir", "DIR", "where everything is kept (default /var/lib/smackd)"},
          {"--bootstrap", "", "make the first node of a new cluster before"},
          {"--embedded-realm", "NAME", "with --bootstrap: with a Kerberos realm of its own"},
          {"--realm", "NAME", "with --bootstrap: in this Kerberos realm of the site"},
          {"--keytab", "FILE", "the node's keytab in that realm (default /etc/smackd/smackd.keytab)"},
          {"--admin", "NAME", "with --bootstrap: the first administrator (default admin)"},
          {"--cluster-name", "NAME", "with --bootstrap: for people (default smackd)"},
          {"--node-name", "NAME", "this machine's name (default: the host's)"},
          {"--api-addr", "HOST:PORT", "API (default 0.0.0.0:5050)"},
          {"--cluster-addr", "HOST:PORT", "where to listen for other servers (default 0.0.0.0:5055)"},
          {"--advertise", "HOST:PORT", "what other servers dial (default NAME and the port above)"},
          {"--kdc-addr", "HOST:PORT", "KDC of an embedded realm (default 0.0.0.0:88)"},
          {"--no-tasks", "", "runs neither tasks of applications nor, unless edge.run says so, their edge"},
          {"--cpus", "NUMBER", "what tasks may have (default: the machine's)"},
          {"--memory", "SIZE", "what tasks may have (default: the machine's but for a tenth)"},
          {"--dns-addr", "IP:PORT,...",
           "names of applications (default 127.0.0.1:53 and the node's address)"},
          {"--http-addr", "IP:PORT,...", "ingress (default 0.0.0.0:80); none: no such listener"},
          {"--https-addr", "IP:PORT,...", "ingress with TLS (default 0.0.0.0:443)"},
          {"--log-level", "LEVEL", "debug, info, warning or error (default info)"}},
         start},
        {"halt",
         "ends the tasks and the edge that a stopped daemon left running on this machine",
         "systemctl stop smackd && smackd halt",
         {},
         {{"--config", "FILE", "configuration (default /etc/smackd/smackd.toml)"},
          {"--data-dir", "DIR", "of the node (default /var/lib/smackd)"}},
         halt_node},
    };
}

}  // namespace smackd::cmd
