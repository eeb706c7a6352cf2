#include <format>

#include "auth/kdc_process.h"
#include "cmd/smackd/bootstrap.h"
#include "cmd/smackd/commands/commands.h"
#include "cmd/smackd/commands/requests.h"
#include "cmd/smackd/commands/run_node.h"
#include "cmd/smackd/service_notice.h"

namespace smackd::cmd {
namespace {

core::Result<void> realm_info(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    TRY_ASSIGN(core::Json answer, client->get("/smack/v1/realm"));
    context.output.record(
        answer,
        {{"realm", "realm"}, {"embedded", "embedded"}, {"KDCs", "kdcs"}, {"cluster", "cluster_name"}});
    return {};
}

core::Result<void> realm_krb5_conf(Context& context) {
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    TRY_ASSIGN(core::Json answer, client->get("/smack/v1/realm"));
    const std::string realm = answer["realm"].as_string();
    if (!answer["embedded"].as_bool()) {
        return core::fail(core::Errc::kUnsupported,
                          "realm {} is your site's own: its krb5.conf is what its administrators say", realm);
    }
    std::vector<std::string> kdcs;
    for (const core::Json& kdc : answer["kdcs"].as_array()) kdcs.push_back(kdc.as_string());
    const std::string text = auth::client_krb5_conf(realm, kdcs);
    context.output.say(text.substr(0, text.size() - 1));
    context.output.document(core::Json::object().set("krb5_conf", text));
    return {};
}

core::Result<void> realm_init(Context& context) {
    TRY_ASSIGN(const Config config, start_config(context));
    BootstrapPlan plan;
    plan.directory = config.data_dir;
    plan.realm = context.arguments.value("REALM");
    plan.embedded_realm = true;
    plan.node_name = config.node_name;
    plan.cluster_address = config.advertise_address;  // kept: machines that join dial it
    plan.http_names = config.host_names;
    plan.admin = context.arguments.value("--admin", kDefaultAdmin);
    plan.cluster_name = context.arguments.value("--cluster-name", plan.cluster_name);
    TRY_ASSIGN(Bootstrapped made, bootstrap(plan));
    context.output.say(std::format("Made realm {} in {}. Start the node with: {}\n\n{}", plan.realm,
                                   plan.directory, start_command(plan.directory), recovery_notice(made)));
    core::Json document;
    document.set("realm", plan.realm).set("data_dir", plan.directory).set("recovery_key", made.recovery_key);
    context.output.document(document);
    return {};
}

}  // namespace

std::vector<Command> realm_commands() {
    return {
        {"realm info",
         "shows the Kerberos realm of the cluster",
         "smackd realm info",
         {},
         with_server_options(),
         realm_info},
        {"realm krb5-conf",
         "prints the krb5.conf for machines whose users sign in to the embedded realm",
         "smackd realm krb5-conf > /etc/krb5.conf",
         {},
         with_server_options(),
         realm_krb5_conf},
        {"realm init",
         "makes the first node of a new cluster with its own realm, without starting it",
         "smackd realm init EXAMPLE.ORG --data-dir /var/lib/smackd",
         {{"REALM", "name of the realm, upper case"}},
         {{"--config", "FILE", "configuration (default /etc/smackd/smackd.toml)"},
          {"--data-dir", "DIR", "where (default: /var/lib/smackd)"},
          {"--node-name", "NAME", "the machine's name (default: the host's)"},
          {"--advertise", "HOST:PORT", "what other machines dial (default NAME and port 5055)"},
          {"--admin", "NAME", "the first administrator (default admin)"},
          {"--cluster-name", "NAME", "for people (default: smackd)"}},
         realm_init},
    };
}

}  // namespace smackd::cmd
