#include "services/setup/setup.h"

#include <string_view>

#include "core/names.h"

namespace smackd::services {

using core::Result;

namespace {

constexpr size_t kClusterNameBytesMax = 64;

Result<void> add_random_key(std::vector<wire::PutPrincipal>& principals, const auth::Realm& realm,
                            std::string_view service, std::string_view host, core::WallTime now) {
    TRY(core::check_machine_name(host));
    TRY_ASSIGN(auth::PrincipalRow row, realm.random_key(std::format("{}/{}", service, host), now));
    wire::PutPrincipal& put = principals.emplace_back();
    put.set_name(std::move(row.name));
    put.set_record(std::move(row.record));
    return {};
}

Result<void> check(const ClusterSetup& setup) {
    TRY(core::check_text("cluster name", setup.cluster_name, kClusterNameBytesMax));
    if (setup.cluster_name.empty())
        return core::fail(core::Errc::kInvalid, "cluster name: must not be empty");
    if (setup.cluster_id.size() != 64) {
        return core::fail(core::Errc::kInvalid,
                          "cluster id: must be 64 hex digits (SHA-256 of the CA's public key)");
    }
    TRY(core::check_realm_name(setup.realm));
    TRY(core::check_machine_name(setup.machine));
    return core::check_user_name(setup.admin);
}

void add_cluster(wire::Command& command, const ClusterSetup& setup) {
    wire::InitCluster* cluster = command.add_changes()->mutable_init_cluster();
    cluster->set_cluster_id(setup.cluster_id);
    cluster->set_cluster_name(setup.cluster_name);
    cluster->set_realm(setup.realm);
    cluster->set_embedded_realm(setup.embedded_realm);
    cluster->set_ca_certificate_pem(setup.ca_certificate_pem);
}

void add_machine(wire::Command& command, const ClusterSetup& setup) {
    wire::PutMachine* machine = command.add_changes()->mutable_put_machine();
    machine->set_name(setup.machine);
    for (const char* role : {"agent", "public", "server"}) machine->add_roles(role);
    machine->set_state(wire::MACHINE_ALLOWED);
}

void add_admin(wire::Command& command, const ClusterSetup& setup) {
    command.add_changes()->mutable_put_user()->set_name(setup.admin);
    wire::PutGroup* group = command.add_changes()->mutable_put_group();
    group->set_name(std::string(kAdminGroup));
    group->set_description("May do everything");
    group->add_members(setup.admin);
    wire::PutRule* rule = command.add_changes()->mutable_put_rule();
    rule->set_id(std::string(kAdminRule));
    rule->set_subject(std::format("group:{}", kAdminGroup));
    rule->add_actions("admin");
    rule->set_tenant("*");
    rule->set_path("/");
}

}  // namespace

Result<std::vector<wire::PutPrincipal>> make_realm(const auth::Realm& realm, const RealmSetup& setup,
                                                   core::WallTime now) {
    TRY(core::check_user_name(setup.admin));
    std::vector<wire::PutPrincipal> principals;
    TRY_ASSIGN(const auto initial, realm.initial_rows(now));
    for (const auth::PrincipalRow& row : initial) {
        wire::PutPrincipal& put = principals.emplace_back();
        put.set_name(row.name);
        put.set_record(row.record);
    }
    for (const std::string& name : setup.http_names)
        TRY(add_random_key(principals, realm, "HTTP", name, now));
    TRY(add_random_key(principals, realm, "host", setup.machine, now));
    TRY(add_random_key(principals, realm, "smack", setup.machine, now));
    auto admin =
        setup.password ? realm.user(setup.admin, *setup.password, now) : realm.random_key(setup.admin, now);
    if (!admin) return core::pass(std::move(admin), "first admin");
    wire::PutPrincipal& put = principals.emplace_back();
    put.set_name(std::move(admin->name));
    put.set_record(std::move(admin->record));
    return principals;
}

Result<wire::Command> make_setup_command(const ClusterSetup& setup) {
    TRY(check(setup));
    wire::Command command;
    command.set_feature_level(kSetupFeatureLevel);
    command.mutable_actor()->set_kind(wire::Actor::SYSTEM);
    command.mutable_actor()->set_principal("smackd");
    command.mutable_actor()->set_door("setup");
    add_cluster(command, setup);
    for (const wire::PutPrincipal& principal : setup.principals) {
        *command.add_changes()->mutable_put_principal() = principal;
    }
    for (const wire::PutSecret& secret : setup.secrets) *command.add_changes()->mutable_put_secret() = secret;
    for (const wire::PutSetting& setting : setup.settings)
        *command.add_changes()->mutable_put_setting() = setting;
    add_machine(command, setup);
    add_admin(command, setup);
    return command;
}

}  // namespace smackd::services
