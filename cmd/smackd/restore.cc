#include "cmd/smackd/restore.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <format>
#include <set>

#include "auth/identity.h"
#include "auth/keytab.h"
#include "cmd/smackd/bootstrap.h"
#include "cmd/smackd/version.h"
#include "core/names.h"
#include "net/posix_disk.h"
#include "net/system_clock.h"
#include "net/system_random.h"
#include "services/backup/backup_extract.h"
#include "services/backup/backup_writer.h"
#include "services/setup/setup.h"
#include "storage/log/metadata.h"
#include "storage/replica.h"
#include "storage/state/reader.h"
#include "storage/state/state_machine.h"

namespace smackd::cmd {
namespace {

namespace fs = std::filesystem;
namespace state = storage::state;
using core::Errc;
using core::fail;
using core::Result;

/// What the restored server needs to know of the state that it goes on from.
struct Found {
    wire::InitCluster cluster;
    std::vector<wire::PutNode> nodes;
    std::optional<wire::PutMachine> machine;  ///< of this name
    std::set<std::string> principals;
    int64_t time_ms = 0;
    uint32_t feature_level = 0;
    uint64_t last_node_id = 0;
};

/// The new node, in a folder inside its data directory until it is complete.
class Restoring {
 public:
    Restoring(services::BackupReader& reader, const auth::SealKey& cluster_key, const RestorePlan& plan)
        : reader_(reader), cluster_key_(cluster_key), plan_(plan), staged_(plan.directory + "/restoring") {}

    Result<Restored> run() {
        TRY(staged_.make());
        TRY(open_state());
        TRY_ASSIGN(const Found found, look());
        TRY_ASSIGN(const ClusterSecrets secrets, open_secrets(found.cluster));
        const NodeIdentity identity = identity_of(found);
        TRY_ASSIGN(const wire::Command command, make_command(found, secrets, identity));
        TRY(apply(command));
        TRY_ASSIGN(const core::Revision revision, begin_log(identity));
        TRY(write_cluster_secrets(staged_, secrets));
        if (secrets.master_key) TRY(write_keytabs(found, secrets));
        TRY(write_identity(staged_, identity));
        Restored restored{manifest_, identity, revision, admin_keytab_};
        machine_.reset();  // closes the files before they move
        TRY(publish());
        return restored;
    }

 private:
    Result<void> open_state();
    Result<Found> look();
    Result<core::Bytes> open_secret(std::string_view name);
    Result<ClusterSecrets> open_secrets(const wire::InitCluster& cluster);
    NodeIdentity identity_of(const Found& found) const;
    Result<wire::Command> make_command(const Found& found, const ClusterSecrets& secrets,
                                       const NodeIdentity& identity);
    Result<void> add_principals(const Found& found, const ClusterSecrets& secrets, wire::Command& command);
    Result<void> apply(const wire::Command& command);
    Result<core::Revision> begin_log(const NodeIdentity& identity);
    Result<void> write_keytabs(const Found& found, const ClusterSecrets& secrets);
    Result<void> add_keys(const auth::Realm& realm, const std::string& principal, auth::Keytab& keytab);
    std::vector<std::string> service_principals(const Found& found) const;
    state::StateReader reader() const {
        return state::StateReader({staged_.state(), *vfs_, machine_->generation()});
    }
    Result<void> publish();

    services::BackupReader& reader_;
    const auth::SealKey& cluster_key_;
    const RestorePlan& plan_;
    const DataDirectory staged_;
    net::PosixDisk disk_;
    net::SystemClock clock_;
    core::MetricRegistry metrics_;
    std::unique_ptr<storage::sqlite::Vfs> vfs_ = storage::sqlite::Vfs::over_unix();
    storage::feed::Hub hub_{storage::feed::HubLimits{}, metrics_};
    std::unique_ptr<state::StateMachine> machine_;
    wire::BackupManifest manifest_;
    bool admin_keytab_ = false;
};

Result<void> Restoring::open_state() {
    const std::string incoming = staged_.path() + "/incoming";
    TRY(disk_.make_directory(incoming));
    TRY_ASSIGN(manifest_, services::extract_backup(disk_, *vfs_, reader_, cluster_key_, incoming));
    TRY_ASSIGN(machine_, state::StateMachine::open({.directory = staged_.state(),
                                                    .disk = disk_,
                                                    .vfs = *vfs_,
                                                    .hub = hub_,
                                                    .metrics = metrics_,
                                                    .logger = {}}));
    TRY(machine_->install_snapshot(incoming));
    return services::remove_folder(disk_, incoming);
}

Result<Found> Restoring::look() {
    state::StateReader rows = reader();
    TRY_ASSIGN(auto view, rows.view());
    Found found;
    found.time_ms = view.point().time_ms;
    found.feature_level = view.point().feature_level;
    TRY_ASSIGN(found.last_node_id, view.last_node_id());
    TRY_ASSIGN(const auto cluster, view.cluster());
    if (!cluster) return fail(Errc::kCorrupt, "the state in the backup holds no cluster");
    found.cluster = cluster->put;
    TRY_ASSIGN(const auto nodes, view.nodes());
    for (const auto& node : nodes) found.nodes.push_back(node.put);
    TRY_ASSIGN(const auto machine, view.machine(plan_.node_name));
    if (machine) found.machine = machine->put;
    TRY_ASSIGN(const auto principals, view.principals());
    for (const auto& [name, version] : principals) found.principals.insert(name);
    return found;
}

Result<core::Bytes> Restoring::open_secret(std::string_view name) {
    state::StateReader rows = reader();
    TRY_ASSIGN(const auto sealed, rows.secret(name));
    if (!sealed) return fail(Errc::kCorrupt, "the state in the backup lacks the secret {}", name);
    return cluster_key_.open(name, *sealed);
}

Result<ClusterSecrets> Restoring::open_secrets(const wire::InitCluster& cluster) {
    TRY_ASSIGN(core::Bytes ca_key, open_secret(kCaKeySecret));
    TRY_ASSIGN(auth::ClusterCa ca, auth::ClusterCa::load(std::move(ca_key), cluster.ca_certificate_pem()));
    if (ca.cluster_id() != reader_.header().cluster_id())
        return fail(Errc::kCorrupt, "the CA in the backup is not of the cluster its header names");
    // A new one: tokens given before, and those revoked since the backup, end with the old epoch.
    TRY_ASSIGN(auth::TokenKey token_key, auth::TokenKey::generate());
    ClusterSecrets secrets{cluster_key_, std::move(ca), std::move(token_key), std::nullopt};
    if (!cluster.embedded_realm()) return secrets;
    TRY_ASSIGN(core::Bytes master, open_secret(kRealmKeySecret));
    TRY_ASSIGN(secrets.master_key, auth::MasterKey::from_text(master));
    auth::wipe(master);
    return secrets;
}

// Never a number that a server had: should an old one still run, it cannot be taken for this one.
NodeIdentity Restoring::identity_of(const Found& found) const {
    uint64_t highest = found.last_node_id;
    for (const wire::BackupServer& server : manifest_.servers())
        highest = std::max(highest, server.node_id());
    NodeIdentity identity;
    identity.node_id = highest + 1;
    identity.name = plan_.node_name;
    identity.cluster_name = found.cluster.cluster_name();
    identity.cluster_id = found.cluster.cluster_id();
    identity.realm = found.cluster.realm();
    identity.embedded_realm = found.cluster.embedded_realm();
    identity.generation = found.machine ? found.machine->generation() : 0;
    identity.epoch = manifest_.epoch() + 1;
    identity.address = plan_.cluster_address;
    return identity;
}

Result<wire::Command> Restoring::make_command(const Found& found, const ClusterSecrets& secrets,
                                              const NodeIdentity& identity) {
    wire::Command command;
    command.set_feature_level(found.feature_level);
    command.mutable_actor()->set_kind(wire::Actor::SYSTEM);
    command.mutable_actor()->set_door("restore");
    command.set_time_ms(std::max(found.time_ms, clock_.wall().unix_ms));
    // The old servers hold what is given up. Agents hold no state: their certificates are of the same CA.
    for (const wire::PutNode& node : found.nodes) {
        const bool agent =
            !node.roles().empty() && std::ranges::find(node.roles(), "server") == node.roles().end();
        if (!agent) command.add_changes()->mutable_remove_node()->set_node_id(node.node_id());
    }
    wire::PutMachine* machine = command.add_changes()->mutable_put_machine();
    if (found.machine) *machine = *found.machine;
    machine->set_name(plan_.node_name);
    machine->set_state(wire::MACHINE_ALLOWED);
    if (std::ranges::find(machine->roles(), "server") == machine->roles().end()) machine->add_roles("server");
    std::ranges::sort(*machine->mutable_roles());
    wire::PutNode* node = command.add_changes()->mutable_put_node();
    node->set_node_id(identity.node_id);
    node->set_machine(identity.name);
    node->set_address(plan_.cluster_address);
    node->set_version(std::string(kVersion));
    if (found.feature_level >= 2) {  // before, every node is a server
        node->add_roles("server");
        node->set_generation(identity.generation);
        node->set_epoch(identity.epoch);
    }
    wire::PutSecret* token_key = command.add_changes()->mutable_put_secret();
    token_key->set_name(std::string(kTokenKeySecret));
    TRY_ASSIGN(*token_key->mutable_sealed(),
               cluster_key_.seal(kTokenKeySecret, secrets.token_key.private_key_pem));
    if (secrets.master_key) TRY(add_principals(found, secrets, command));
    return command;
}

// The names under which this server is reached: its own, those it is told, and those of the servers before
// it.
std::vector<std::string> Restoring::service_principals(const Found& found) const {
    const std::string at = "@" + found.cluster.realm();
    std::vector<std::string> names{std::format("host/{}{}", plan_.node_name, at),
                                   std::format("smack/{}{}", plan_.node_name, at),
                                   std::format("HTTP/{}{}", plan_.node_name, at)};
    const auto add = [&](const std::string& host, bool make) {
        std::string name = std::format("HTTP/{}{}", host, at);
        if (!make && !found.principals.contains(name)) return;
        if (std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
    };
    for (const std::string& host : plan_.http_names) add(host, true);
    add("localhost", false);
    for (const wire::PutNode& node : found.nodes) add(node.machine(), false);
    return names;
}

Result<void> Restoring::add_principals(const Found& found, const ClusterSecrets& secrets,
                                       wire::Command& command) {
    TRY_ASSIGN(const auth::Realm realm, auth::Realm::open(found.cluster.realm(), *secrets.master_key));
    for (const std::string& name : service_principals(found)) {
        if (found.principals.contains(name)) continue;
        TRY_ASSIGN(auth::PrincipalRow row, realm.random_key(name.substr(0, name.find('@')), clock_.wall()));
        wire::PutPrincipal* put = command.add_changes()->mutable_put_principal();
        put->set_name(std::move(row.name));
        put->set_record(std::move(row.record));
    }
    return {};
}

// The state machine is the only writer of its tables, here as well.
Result<void> Restoring::apply(const wire::Command& command) {
    const core::Bytes bytes = command.SerializeAsString();
    TRY_ASSIGN(const auto results,
               machine_->apply(core::Index{manifest_.index() + 1}, core::Term{manifest_.term() + 1},
                               {core::BytesView(bytes)}));
    wire::CommandResult result;
    if (results.size() != 1 || !result.ParseFromString(results.front()))
        return fail(Errc::kCorrupt, "the change of servers was not answered");
    if (result.code() != 0)
        return fail(Errc::kConflict, "the change of servers was refused: {}", result.message());
    return machine_->commit();
}

// An empty log behind the state, with this server as the only voter, in a new epoch: as `smackd recover` does
// it.
Result<core::Revision> Restoring::begin_log(const NodeIdentity& identity) {
    TRY_ASSIGN(auto metadata, storage::MetadataStore::open(disk_, staged_.raft() + "/meta"));
    storage::Metadata value;
    value.term = core::Term{manifest_.term() + 1};
    value.voters = 1;
    value.epoch = manifest_.recoveries();
    TRY(metadata.write(value));
    storage::ReplicaOptions options;
    options.self = core::NodeId{identity.node_id};
    options.directory = staged_.raft();
    net::SystemRandom random;
    auto recovered =
        storage::Replica::recover(options, disk_, *machine_,
                                  {options.self, plan_.cluster_address, storage::ServerRole::kVoter}, random);
    if (!recovered) return core::pass(std::move(recovered), "beginning the log");
    return recovered->revision;
}

Result<void> Restoring::add_keys(const auth::Realm& realm, const std::string& principal,
                                 auth::Keytab& keytab) {
    state::StateReader rows = reader();
    TRY_ASSIGN(auto record, rows.principal(principal));
    if (!record) return fail(Errc::kCorrupt, "the realm lacks {}", principal);
    TRY_ASSIGN(auto keys, realm.keys({principal, std::move(*record)}));
    for (auth::KeytabEntry& entry : keys) keytab.add(std::move(entry));
    return {};
}

Result<void> Restoring::write_keytabs(const Found& found, const ClusterSecrets& secrets) {
    TRY_ASSIGN(const auth::Realm realm, auth::Realm::open(found.cluster.realm(), *secrets.master_key));
    auth::Keytab node;
    auth::Keytab http;
    for (const std::string& name : service_principals(found)) {
        TRY(add_keys(realm, name, node));
        if (name.starts_with("HTTP/")) TRY(add_keys(realm, name, http));
    }
    TRY(node.write(node_keytab_path(staged_)));
    TRY(http.write(http_keytab_path(staged_)));
    const std::string admin = auth::user_principal(plan_.admin, found.cluster.realm());
    admin_keytab_ = found.principals.contains(admin);
    if (!admin_keytab_) return {};
    auth::Keytab keytab;
    TRY(add_keys(realm, admin, keytab));
    return keytab.write(admin_keytab_path(staged_));
}

// node.json last: the node is there once it is.
Result<void> Restoring::publish() {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(staged_.path(), error))
        names.push_back(entry.path().filename().string());
    if (error) return core::fail_errno(error.value(), std::format("reading {}", staged_.path()));
    std::ranges::sort(names, {}, [](const std::string& name) { return name == "node.json"; });
    for (const std::string& name : names)
        TRY(disk_.rename(staged_.path() + "/" + name, plan_.directory + "/" + name));
    TRY(disk_.remove(staged_.path()));
    return disk_.sync_directory(plan_.directory);
}

Result<void> check_plan(const RestorePlan& plan) {
    TRY(core::check_machine_name(plan.node_name));
    for (const std::string& name : plan.http_names) TRY(core::check_machine_name(name));
    TRY(core::check_user_name(plan.admin));
    TRY(check_address("cluster address", plan.cluster_address));
    return check_empty(plan.directory);
}

}  // namespace

Result<void> check_empty(const std::string& directory) {
    if (!directory.starts_with("/"))
        return fail(Errc::kInvalid, "the data directory must be an absolute path");
    std::error_code error;
    const auto status = fs::status(directory, error);
    if (status.type() == fs::file_type::not_found) return {};
    if (status.type() != fs::file_type::directory) return fail(Errc::kConflict, "{} is no folder", directory);
    if (!fs::is_empty(directory, error) || error) {
        return fail(
            Errc::kConflict,
            "{} is not empty: a backup is restored into an empty data directory only; choose another, or "
            "move what is there away",
            directory);
    }
    return {};
}

Result<Restored> restore_backup(services::BackupReader& reader, const auth::RecoveryKey& recovery,
                                const RestorePlan& plan) {
    TRY(check_plan(plan));
    TRY(services::check_backup_level(reader.header()));
    TRY_ASSIGN(const auth::SealKey cluster_key, reader.unwrap(recovery));
    std::error_code error;
    const bool was_there = fs::exists(plan.directory, error);
    auto restored = Restoring(reader, cluster_key, plan).run();
    if (restored) {
        if (::chmod(plan.directory.c_str(), 0711) != 0)  // the KDC's user passes through
            return core::fail_errno(errno, std::format("setting the mode of {}", plan.directory));
        return restored;
    }
    fs::remove_all(plan.directory + "/restoring", error);
    if (!was_there) fs::remove(plan.directory, error);  // only when it is empty
    return restored;
}

}  // namespace smackd::cmd
