#include "cmd/smackd/bootstrap.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <format>

#include "auth/identity.h"
#include "auth/keytab.h"
#include "auth/secret_file.h"
#include "cmd/smackd/version.h"
#include "core/names.h"
#include "net/system_clock.h"
#include "services/setup/setup.h"
#include "storage/state/limits.h"

namespace smackd::cmd {
namespace {

inline constexpr uint64_t kFirstNodeId = 1;

core::Result<void> check_plan(const BootstrapPlan& plan) {
    TRY(core::check_realm_name(plan.realm));
    TRY(core::check_machine_name(plan.node_name));
    TRY(core::check_user_name(plan.admin));
    TRY(check_address("cluster address", plan.cluster_address));
    if (plan.embedded_realm) return {};
    TRY_ASSIGN(auth::Keytab keytab, auth::Keytab::read(plan.keytab));
    return keytab.require(auth::http_principal(plan.node_name, plan.realm), plan.keytab);
}

std::vector<std::string> http_names(const BootstrapPlan& plan) {
    std::vector<std::string> names{plan.node_name};
    for (const std::string& name : plan.http_names) {
        if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
    return names;
}

struct RealmParts {
    std::vector<wire::PutPrincipal> principals;
    auth::Keytab node;
    auth::Keytab admin;
};

// Services go into the node's keytab, the admin into its own; K/M and krbtgt into none.
core::Result<void> collect_keys(const auth::Realm& realm, const std::string& admin, RealmParts& parts) {
    for (const wire::PutPrincipal& principal : parts.principals) {
        bool is_admin = principal.name() == auth::user_principal(admin, realm.name());
        bool is_service = false;
        for (std::string_view prefix : {"HTTP/", "host/", "smack/"})
            is_service |= principal.name().starts_with(prefix);
        if (!is_admin && !is_service) continue;
        TRY_ASSIGN(auto keys, realm.keys({principal.name(), principal.record()}));
        for (auth::KeytabEntry& entry : keys) (is_admin ? parts.admin : parts.node).add(std::move(entry));
    }
    return {};
}

core::Result<RealmParts> make_realm_parts(const BootstrapPlan& plan, const ClusterSecrets& secrets,
                                          core::WallTime now) {
    RealmParts parts;
    if (!plan.embedded_realm) return parts;
    TRY_ASSIGN(auth::Realm realm, auth::Realm::open(plan.realm, *secrets.master_key));
    services::RealmSetup setup;
    setup.machine = plan.node_name;
    setup.http_names = http_names(plan);
    setup.admin = plan.admin;
    TRY_ASSIGN(parts.principals, services::make_realm(realm, setup, now));
    TRY(collect_keys(realm, plan.admin, parts));
    return parts;
}

std::vector<InitialVoter> voters_of(const BootstrapPlan& plan) {
    std::vector<InitialVoter> voters{{kFirstNodeId, plan.node_name, plan.cluster_address}};
    voters.insert(voters.end(), plan.further_voters.begin(), plan.further_voters.end());
    return voters;
}

// The first servers are in the state from the start, as joined ones will be.
void add_servers(wire::Command& command, const BootstrapPlan& plan) {
    for (const InitialVoter& voter : plan.further_voters) {
        wire::PutMachine* machine = command.add_changes()->mutable_put_machine();
        machine->set_name(voter.name);
        machine->add_roles("server");
        machine->set_state(wire::MACHINE_ALLOWED);
    }
    for (const InitialVoter& voter : voters_of(plan)) {
        wire::PutNode* node = command.add_changes()->mutable_put_node();
        node->set_node_id(voter.node_id);
        node->set_machine(voter.name);
        node->set_address(voter.address);
        node->set_version(std::string(kVersion));
    }
    // A new cluster begins where this version is; the migration knows the nodes above as servers.
    command.add_changes()->mutable_raise_feature_level()->set_level(storage::state::kFeatureLevelMax);
}

core::Result<core::Bytes> make_setup(const BootstrapPlan& plan, const ClusterSecrets& secrets,
                                     const RealmParts& parts, core::BytesView wrapped_cluster_key) {
    services::ClusterSetup setup;
    setup.cluster_id = secrets.ca.cluster_id();
    setup.cluster_name = plan.cluster_name;
    setup.realm = plan.realm;
    setup.embedded_realm = plan.embedded_realm;
    setup.ca_certificate_pem = secrets.ca.certificate_pem();
    setup.machine = plan.node_name;
    setup.admin = plan.admin;
    setup.principals = parts.principals;
    TRY_ASSIGN(auto sealed, secrets.seal());
    sealed.push_back({std::string(kRecoverySecret), core::Bytes(wrapped_cluster_key)});
    for (const auto& [name, bytes] : sealed) {
        wire::PutSecret& secret = setup.secrets.emplace_back();
        secret.set_name(name);
        secret.set_sealed(bytes);
    }
    TRY_ASSIGN(wire::Command command, services::make_setup_command(setup));
    add_servers(command, plan);
    return command.SerializeAsString();
}

auth::Keytab http_keys(const auth::Keytab& all) {
    auth::Keytab http;
    for (const auth::KeytabEntry& entry : all.entries()) {
        if (entry.principal.starts_with("HTTP/")) http.add(entry);
    }
    return http;
}

core::Result<void> write_node(const DataDirectory& directory, const BootstrapPlan& plan,
                              const Bootstrapped& made, const NodeIdentity& identity) {
    TRY(directory.make());
    TRY_ASSIGN(DirectoryLock lock, DirectoryLock::take(directory));
    if (read_identity(directory)) {
        return core::fail(core::Errc::kConflict,
                          "{} holds a node already; start it with: smackd start --data-dir {}",
                          directory.path(), directory.path());
    }
    TRY(write_cluster_secrets(directory, made.secrets));
    TRY(write_initial_voters(directory, voters_of(plan)));
    TRY(auth::write_secret_file(setup_command_path(directory), made.setup_command));
    if (plan.embedded_realm) {
        TRY(made.node_keytab.write(node_keytab_path(directory)));
        TRY(http_keys(made.node_keytab).write(http_keytab_path(directory)));
        TRY(made.admin_keytab.write(admin_keytab_path(directory)));
    }
    return write_identity(directory, identity);
}

}  // namespace

core::Result<Bootstrapped> bootstrap(BootstrapPlan plan) {
    if (plan.node_name.empty()) plan.node_name = host_name();
    TRY(check_plan(plan));
    core::WallTime now = net::SystemClock().wall();
    TRY_ASSIGN(ClusterSecrets secrets, ClusterSecrets::make(plan.cluster_name, plan.embedded_realm, now));
    auth::RecoveryKey recovery = auth::RecoveryKey::random();
    TRY_ASSIGN(core::Bytes wrapped, recovery.wrap(secrets.cluster_key));
    TRY_ASSIGN(RealmParts parts, make_realm_parts(plan, secrets, now));
    TRY_ASSIGN(core::Bytes setup, make_setup(plan, secrets, parts, wrapped));
    NodeIdentity identity{kFirstNodeId, plan.node_name,     plan.cluster_name, secrets.ca.cluster_id(),
                          plan.realm,   plan.embedded_realm};
    Bootstrapped made{recovery.to_text(), std::move(secrets),    std::move(identity),
                      std::move(setup),   std::move(parts.node), std::move(parts.admin)};
    TRY(write_node(DataDirectory(plan.directory), plan, made, made.identity));
    return made;
}

core::Result<void> bootstrap_further_voter(const BootstrapPlan& first, const Bootstrapped& made,
                                           const InitialVoter& voter, const std::string& directory) {
    NodeIdentity identity = made.identity;
    identity.node_id = voter.node_id;
    identity.name = voter.name;
    BootstrapPlan plan = first;
    plan.node_name = made.identity.name;
    return write_node(DataDirectory(directory), plan, made, identity);
}

std::string recovery_notice(const Bootstrapped& made) {
    return std::format(
        "Recovery key of this cluster (shown once, needed to open backups and to recover without any "
        "server):\n\n"
        "    {}\n\nWrite it down and keep it apart from the servers.",
        made.recovery_key);
}

std::string host_name() {
    char buffer[256] = {};
    if (::gethostname(buffer, sizeof buffer - 1) != 0) return "localhost";
    std::string name(buffer);
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return core::check_machine_name(name) ? name : "localhost";
}

std::string http_keytab_path(const DataDirectory& directory) {
    return directory.keytabs() + "/http.keytab";
}
std::string node_keytab_path(const DataDirectory& directory) {
    return directory.keytabs() + "/node.keytab";
}
std::string admin_keytab_path(const DataDirectory& directory) {
    return directory.keytabs() + "/admin.keytab";
}
std::string setup_command_path(const DataDirectory& directory) {
    return directory.cluster() + "/setup.command";
}
std::string client_krb5_conf_path(const DataDirectory& directory) {
    return directory.path() + "/krb5.conf";
}

}  // namespace smackd::cmd
