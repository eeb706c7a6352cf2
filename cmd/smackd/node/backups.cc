#include "cmd/smackd/node/backups.h"

#include <algorithm>
#include <format>

#include "cmd/smackd/node/foreign_wait.h"
#include "cmd/smackd/node_keys.h"
#include "services/setup/setup.h"
#include "storage/state/files.h"

namespace smackd::cmd {

using core::Errc;
using core::fail;
using core::Result;
using net::Task;
using services::BackupRecord;
using services::OpenBackup;
using services::StoredBackup;
using services::WrittenBackup;

namespace {

constexpr std::string_view kBackupDoorName = "backup";
constexpr core::Duration kDueTolerance = core::seconds(1);  ///< timers and wall clocks differ a little
constexpr size_t kFailureBytesMax = 512;

std::string_view role_name(storage::ServerRole role) {
    if (role == storage::ServerRole::kVoter) return "voter";
    return role == storage::ServerRole::kStandby ? "standby" : "spare";
}

wire::BackupManifest manifest_of(const storage::ReplicaStatus& status) {
    wire::BackupManifest manifest;
    manifest.set_term(status.term.value);
    manifest.set_recoveries(status.epoch);
    for (const storage::Server& server : status.servers) {
        wire::BackupServer* entry = manifest.add_servers();
        entry->set_node_id(server.id.value);
        entry->set_address(server.address);
        entry->set_role(std::string(role_name(server.role)));
    }
    return manifest;
}

core::Revision revision_of(const WrittenBackup& written) {
    return {written.manifest.epoch(), written.manifest.revision()};
}

}  // namespace

Backups::Backups(BackupsOptions options, BackupsEnvironment environment)
    : options_(std::move(options)),
      environment_(std::move(environment)),
      work_(options_.directory.path() + "/backup-work"),
      reader_(environment_.reader),
      scope_(environment_.loop),
      pool_("backup", 1, kBackupsWaitingMax),
      made_total_(
          environment_.metrics.counter("smackd_backups_total", "Scheduled backups made by this server")),
      failures_total_(environment_.metrics.counter("smackd_backup_failures_total",
                                                   "Scheduled backups of this server that failed")),
      last_time_s_(environment_.metrics.gauge("smackd_backup_last_success_timestamp_seconds",
                                              "Unix time of the cluster's last scheduled backup; 0: none")),
      last_bytes_(environment_.metrics.gauge("smackd_backup_last_bytes",
                                             "Size of the cluster's last scheduled backup")) {}

void Backups::begin() {
    if (options_.plan.every > core::Duration(0)) scope_.spawn(run_schedule());
}

Task<void> Backups::close() {
    co_await scope_.close();
}

// ---- on the loop ----

Task<Result<Backups::Pinned>> Backups::pin() {
    co_return co_await await_foreign<Pinned>(environment_.loop, [this](auto done) {
        environment_.consensus.inspect(
            [this, done = std::move(done)](const storage::ReplicaStatus& status) mutable {
                auto task = environment_.pin();
                if (!task) return done(core::pass(std::move(task)));
                done(Pinned{std::move(*task), status});
            });
    });
}

Task<Result<OpenBackup>> Backups::make() {
    CO_TRY_ASSIGN(Pinned pinned, co_await pin());
    co_return co_await pool_.run<OpenBackup>(environment_.loop,
                                             [&] { return write_and_open(std::move(pinned)); });
}

Task<Result<std::vector<StoredBackup>>> Backups::list() {
    co_return co_await pool_.run<std::vector<StoredBackup>>(environment_.loop, [this] { return stored(); });
}

bool Backups::leads() const {
    const storage::ReplicaStatus status = environment_.consensus.status();
    return status.role == storage::ReplicaRole::kLeader && status.may_plan;
}

void Backups::note(const BackupRecord& record) {
    last_time_s_.set(record.made.unix_ms / 1000);
    last_bytes_.set(static_cast<int64_t>(record.bytes));
}

Task<BackupRecord> Backups::read_record() {
    auto read = co_await pool_.run<BackupRecord>(environment_.loop, [this]() -> Result<BackupRecord> {
        TRY_ASSIGN(auto view, reader_.view());
        TRY_ASSIGN(const auto setting, view.setting(services::kBackupSetting));
        if (!setting) return BackupRecord{};
        return BackupRecord::parse(setting->put.value());
    });
    if (!read)
        environment_.logger.warning("reading what is known of backups", {{"error", read.error().message}});
    BackupRecord record = read.value_or(BackupRecord{});
    note(record);
    co_return record;
}

// Every server waits for the time when the next backup is due; the leader of that time makes it.
Task<void> Backups::run_schedule() {
    const services::BackupPlan& plan = options_.plan;
    core::Duration earliest = services::kBackupFirstDelay;
    while (true) {
        const BackupRecord last = co_await read_record();
        auto slept = co_await net::sleep(environment_.loop,
                                         until_next_backup(plan, last, environment_.clock.wall(), earliest));
        if (scope_.cancelled()) co_return;
        if (!slept) environment_.logger.warning("backup schedule", {{"error", slept.error().message}});
        earliest = services::kBackupFollowerDelay;
        const BackupRecord now = co_await read_record();
        const core::Duration left =
            until_next_backup(plan, now, environment_.clock.wall(), core::Duration(0));
        if (leads() && left <= kDueTolerance) co_await make_scheduled(now);
        if (scope_.cancelled()) co_return;
    }
}

Task<void> Backups::make_scheduled(BackupRecord record) {
    const core::WallTime now = environment_.clock.wall();
    const std::string path = options_.plan.directory + "/" + services::backup_name(now);
    auto pinned = co_await pin();
    Result<WrittenBackup> written = fail(Errc::kCancelled, "");
    if (pinned) {
        written = co_await pool_.run<WrittenBackup>(
            environment_.loop, [&] { return write_scheduled(std::move(*pinned), path); });
    } else {
        written = core::pass(std::move(pinned));
    }
    if (scope_.cancelled()) co_return;
    if (written) {
        made_total_.add();
        record = {.made = now,
                  .revision = revision_of(*written).to_string(),
                  .server = options_.identity.name,
                  .file = path,
                  .bytes = written->bytes,
                  .failed = {},
                  .failure = {}};
        environment_.logger.info("backup made",
                                 {{"file", path}, {"revision", record.revision}, {"bytes", record.bytes}});
    } else {
        failures_total_.add();
        record.failed = now;
        record.failure = std::format("the backup on {} to {} failed: {}", options_.identity.name,
                                     options_.plan.directory, written.error().message)
                             .substr(0, kFailureBytesMax);
        environment_.logger.error("backup failed", {{"what", record.failure}});
    }
    note(record);
    auto reported = co_await report(std::move(record));
    if (!reported)
        environment_.logger.error("telling the cluster of the backup", {{"error", reported.error().message}});
}

Task<Result<void>> Backups::report(BackupRecord record) {
    wire::Command command;
    command.set_feature_level(services::kSetupFeatureLevel);
    command.mutable_actor()->set_kind(wire::Actor::SYSTEM);
    command.mutable_actor()->set_door(std::string(kBackupDoorName));
    wire::PutSetting* setting = command.add_changes()->mutable_put_setting();
    setting->set_name(std::string(services::kBackupSetting));
    setting->set_value(record.to_text());
    core::Bytes bytes = command.SerializeAsString();
    auto answer = co_await await_foreign<core::Bytes>(environment_.loop, [&](auto done) {
        environment_.consensus.propose(std::move(bytes), std::move(done));
    });
    if (!answer) co_return core::pass(std::move(answer));
    wire::CommandResult result;
    if (!result.ParseFromString(*answer) || result.code() != 0)
        co_return fail(Errc::kConflict, "refused: {}", result.message());
    co_return Result<void>();
}

// ---- on the worker ----

// A full disk stops the cluster, a backup that is late does not.
Result<void> Backups::check_space() {
    storage::state::StateFiles files(environment_.disk, environment_.vfs, options_.directory.state());
    uint64_t state_bytes = 0;
    for (const std::string& path : {files.state_path(), files.realm_path(), files.secrets_path()}) {
        for (const char* suffix : {"", "-wal"}) {
            auto file = environment_.disk.open(path + suffix, core::OpenMode::kRead);
            if (!file) continue;
            TRY_ASSIGN(const uint64_t size, (*file)->size());
            state_bytes += size;
        }
    }
    // The copy, and beside it the compressed file, which may be as large.
    const uint64_t needed = 2 * state_bytes + kBackupSpareBytes;
    TRY_ASSIGN(const uint64_t free, environment_.disk.free_bytes(options_.directory.path()));
    if (free >= needed) return {};
    return fail(Errc::kDiskFull, "{} has {} free, a backup needs {}", options_.directory.path(),
                core::format_bytes(free), core::format_bytes(needed));
}

Result<WrittenBackup> Backups::write(Pinned pinned, const std::string& path) {
    TRY(check_space());
    TRY_ASSIGN(auto wrapped, reader_.secret(kRecoverySecret));
    if (!wrapped)
        return fail(Errc::kNotFound, "the state holds no cluster key wrapped for the recovery key ({})",
                    kRecoverySecret);
    services::BackupSource source;
    source.manifest = manifest_of(pinned.status);
    source.state = std::move(pinned.task);
    source.header.set_cluster_id(options_.identity.cluster_id);
    source.header.set_wrapped_cluster_key(std::move(*wrapped));
    source.header.set_time_ms(environment_.clock.wall().unix_ms);
    source.header.set_software(options_.version);
    const services::BackupPlace place{environment_.disk, environment_.vfs, work_, path, cancelled_};
    return services::write_backup(environment_.cluster_key, std::move(source), place);
}

Result<OpenBackup> Backups::write_and_open(Pinned pinned) {
    const std::string path = work_ + ".download";
    TRY_ASSIGN(const WrittenBackup written, write(std::move(pinned), path));
    TRY_ASSIGN(auto file, environment_.disk.open(path, core::OpenMode::kRead));
    TRY(environment_.disk.remove(path));  // the descriptor keeps it until it was sent
    return OpenBackup{std::move(file), written.bytes, revision_of(written)};
}

Result<WrittenBackup> Backups::write_scheduled(Pinned pinned, const std::string& path) {
    TRY(environment_.disk.make_directory(options_.plan.directory));
    TRY_ASSIGN(WrittenBackup written, write(std::move(pinned), path));
    if (auto removed = remove_outdated(); !removed)
        environment_.logger.warning("removing old backups", {{"error", removed.error().message}});
    return written;
}

Result<void> Backups::remove_outdated() {
    TRY_ASSIGN(auto names, environment_.disk.list(options_.plan.directory));
    for (const std::string& name : services::outdated_backups(std::move(names), options_.plan.keep))
        TRY(environment_.disk.remove(options_.plan.directory + "/" + name));
    return {};
}

Result<std::vector<StoredBackup>> Backups::stored() {
    std::vector<StoredBackup> found;
    TRY_ASSIGN(const bool there, environment_.disk.exists(options_.plan.directory));
    if (!there) return found;
    TRY_ASSIGN(const auto names, environment_.disk.list(options_.plan.directory));
    for (const std::string& name : names) {
        const auto time = services::time_of_backup(name);
        if (!time) continue;
        auto file = environment_.disk.open(options_.plan.directory + "/" + name, core::OpenMode::kRead);
        if (!file) continue;  // removed meanwhile
        TRY_ASSIGN(const uint64_t size, (*file)->size());
        found.push_back({name, size, *time});
    }
    std::ranges::reverse(found);  // by name, hence by time
    return found;
}

}  // namespace smackd::cmd
