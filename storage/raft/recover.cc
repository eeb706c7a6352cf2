// `smackd recover`: goes on from what is on this disk when the others, or a part of the log, are gone for
// good.
#include <algorithm>
#include <format>

#include "core/planted.h"
#include "core/wire/command.pb.h"
#include "core/wire/raft.pb.h"
#include "storage/log/folder.h"
#include "storage/log/log.h"
#include "storage/log/metadata.h"
#include "storage/log/snapshot_store.h"
#include "storage/raft/applier.h"
#include "storage/raft/configuration.h"
#include "storage/raft/proposals.h"
#include "storage/replica.h"

namespace smackd::storage {
namespace {

/// What lies in the raft folder of one server.
struct Parts {
    MetadataStore metadata;
    SnapshotStore snapshots;
    std::unique_ptr<Log> log;
    LogContents contents;

    core::Index last() const { return core::Index{contents.first.value + contents.entries.size() - 1}; }
    core::Index snapshot() const {
        return core::Index{snapshots.list().empty() ? 0 : snapshots.list().front().index()};
    }
};

core::Result<Parts> open_parts(const ReplicaOptions& options, core::Disk& disk, RecoveryReport& report) {
    TRY_ASSIGN(const bool there, disk.exists(options.directory));
    if (!there) return core::fail(core::Errc::kNotFound, "{} holds no server's data", options.directory);
    SnapshotStore snapshots(disk, options.directory + "/snapshots");
    TRY(snapshots.open(report.lost));
    TRY_ASSIGN(MetadataStore metadata, MetadataStore::open(disk, options.directory + "/meta"));
    if (metadata.value() == Metadata{}) {
        return core::fail(core::Errc::kNotFound, "{} holds no server's data", options.directory);
    }
    Parts parts{
        .metadata = std::move(metadata), .snapshots = std::move(snapshots), .log = {}, .contents = {}};
    TRY_ASSIGN(parts.log, Log::open(disk, options.directory + "/log", options.segment_bytes, parts.contents));
    if (parts.contents.damage) {
        report.lost.push_back(
            std::format("{} ({})", parts.contents.damage->range(), parts.contents.damage->what));
    }
    if (!parts.snapshots.list().empty()) report.term = {parts.snapshots.list().front().term()};
    if (!parts.contents.entries.empty())
        report.term = std::max(report.term, parts.contents.entries.back().term);
    report.snapshot = parts.snapshot();
    report.last = std::max(parts.last(), parts.snapshot());
    return parts;
}

/// Of the last configuration entry, committed or not: only the addresses in it matter.
std::vector<Server> newest_servers(const Parts& parts) {
    for (auto entry = parts.contents.entries.rbegin(); entry != parts.contents.entries.rend(); ++entry) {
        if (entry->type != EntryType::kConfiguration) continue;
        if (auto servers = decode_configuration(*entry->payload); servers) return std::move(*servers);
    }
    if (parts.snapshots.list().empty()) return {};
    return decode_configuration(parts.snapshots.list().front().configuration())
        .value_or(std::vector<Server>{});
}

/// The highest time stamped into what is here: time never runs backwards.
int64_t newest_time(const Parts& parts) {
    int64_t time_ms = parts.snapshots.list().empty() ? 0 : parts.snapshots.list().front().time_ms();
    for (const LogEntry& entry : parts.contents.entries) {
        wire::CommandGroup group;
        if (entry.type == EntryType::kCommand && group.ParseFromString(*entry.payload))
            time_ms = std::max(time_ms, group.time_ms());
    }
    return time_ms;
}

LogEntry raise_epoch_entry(core::Index index, core::Term term, int64_t time_ms) {
    wire::Command command;
    command.set_feature_level(1);
    command.mutable_actor()->set_kind(wire::Actor::SYSTEM);
    command.mutable_actor()->set_principal("system");
    command.mutable_actor()->set_door("recover");
    command.add_changes()->mutable_raise_epoch()->set_reason("recover");
    wire::CommandGroup group;
    group.set_time_ms(time_ms);
    core::Bytes& stamped = *group.add_commands();
    stamped = command.SerializeAsString();
    stamp_time(stamped, time_ms);
    return LogEntry{.index = index,
                    .term = term,
                    .type = EntryType::kCommand,
                    .payload = std::make_shared<const core::Bytes>(group.SerializeAsString())};
}

/// Stages one entry; the result of its last command, empty when it has none or the state held it already.
core::Result<core::Bytes> apply_entry(Fsm& fsm, const LogEntry& entry) {
    if (entry.type != EntryType::kCommand || entry.index <= fsm.applied()) return core::Bytes{};
    wire::CommandGroup group;
    if (!group.ParseFromString(*entry.payload)) {
        return core::fail(core::Errc::kUnsupported, "entry {} has a form this version cannot read",
                          entry.index.value);
    }
    const std::vector<core::BytesView> commands(group.commands().begin(), group.commands().end());
    TRY_ASSIGN(auto results, fsm.apply(entry.index, entry.term, commands));
    return results.empty() ? core::Bytes{} : std::move(results.back());
}

/// A state that is older than the log's beginning starts from the newest snapshot that is sound.
core::Result<void> fill_gap(const Parts& parts, Fsm& fsm, RecoveryReport& report) {
    for (const wire::SnapshotManifest& manifest : parts.snapshots.list()) {
        if (fsm.applied().next() >= parts.contents.first) return {};
        auto folder = parts.snapshots.copy_for_install(manifest);
        auto installed =
            folder ? fsm.install_snapshot(*folder) : core::Result<void>(core::pass(std::move(folder)));
        if (installed) continue;
        if (installed.error().code != core::Errc::kCorrupt) return installed;
        report.lost.push_back(installed.error().message);
    }
    return {};
}

/// Everything the log holds behind the state.
core::Result<void> replay(const Parts& parts, Fsm& fsm) {
    if (fsm.applied().next() < parts.contents.first) return {};
    for (const LogEntry& entry : parts.contents.entries) {
        TRY(apply_entry(fsm, entry));
        if (entry.index.value % kApplyEntriesPerTurn == 0) TRY(fsm.commit());
    }
    return fsm.commit();
}

/// The state as a snapshot, so that the log can begin behind it. Where it begins.
core::Result<core::Index> begin_behind_state(Parts& parts, Fsm& fsm, const core::Bytes& configuration,
                                             int64_t time_ms) {
    auto task = fsm.begin_snapshot();
    if (!task) {
        return core::pass(
            std::move(task),
            "what is left of the log does not bring the databases to one moment (recover on another "
            "server, or restore a backup)");
    }
    TRY_ASSIGN(const std::string folder, parts.snapshots.begin_taking());
    TRY(task->copy(folder));
    wire::SnapshotManifest manifest;
    manifest.set_index(task->index.value);
    manifest.set_term(parts.metadata.value().term.value);
    manifest.set_time_ms(time_ms);
    manifest.set_configuration(configuration);
    manifest.set_configuration_index(task->index.value);
    TRY(parts.snapshots.finish_taking(manifest));
    TRY(parts.snapshots.verify(manifest));
    parts.snapshots.adopt(manifest);
    TRY(parts.snapshots.prune(1));
    TRY(parts.log->reset(task->index.next()));
    return task->index.next();
}

/// True when snapshot, log and state go over into each other, so that a start needs nothing else.
bool log_joins(const Parts& parts, core::Index applied) {
    return !parts.contents.entries.empty() && parts.contents.first <= parts.snapshot().next() &&
           applied.next() >= parts.contents.first && applied <= parts.last();
}

/// A new term, so that nothing of before can be taken for something of now, and a new epoch, by which servers
/// of before, and those recovered elsewhere, are refused.
core::Result<core::Term> leave_the_others(Parts& parts, core::Random& random) {
    Metadata next = parts.metadata.value();
    next.term = next.term.next();
    next.vote = {};
    next.voters = 1;
    next.damage_term = {};
    const auto mark = static_cast<uint32_t>(random.below(uint64_t{1} << 32));
    if (!SMACK_BUG("recover_keeps_epoch")) next.epoch = next_epoch(next.epoch, mark);
    TRY(parts.metadata.write(next));
    return next.term;
}

}  // namespace

core::Result<RecoveryReport> Replica::survey(const ReplicaOptions& options, core::Disk& disk) {
    RecoveryReport report;
    TRY_ASSIGN(const Parts parts, open_parts(options, disk, report));
    report.servers = newest_servers(parts);
    return report;
}

core::Result<RecoveryReport> Replica::recover(const ReplicaOptions& options, core::Disk& disk, Fsm& fsm,
                                              const Server& self, core::Random& random) {
    RecoveryReport report;
    TRY_ASSIGN(core::Bytes configuration, encode_configuration({self}));
    TRY_ASSIGN(Parts parts, open_parts(options, disk, report));
    report.servers = newest_servers(parts);
    if (parts.contents.damage) TRY(parts.log->repair());
    report.applied = fsm.applied();
    TRY(fill_gap(parts, fsm, report));
    const int64_t time_ms = newest_time(parts);
    TRY_ASSIGN(report.term, leave_the_others(parts, random));
    const bool joins = log_joins(parts, fsm.applied());
    std::vector<LogEntry> added;
    if (joins) {
        added.push_back(LogEntry{.index = parts.last().next(),
                                 .term = report.term,
                                 .type = EntryType::kConfiguration,
                                 .payload = std::make_shared<const core::Bytes>(std::move(configuration))});
        added.push_back(raise_epoch_entry(added.back().index.next(), report.term, time_ms));
        // The decision is in the log before the state follows it.
        TRY(parts.log->append(added));
        TRY(replay(parts, fsm));
    } else {
        TRY(replay(parts, fsm));
        if (fsm.applied().value == 0) {
            return core::fail(core::Errc::kCorrupt,
                              "neither log nor state on this disk can be used: restore a backup");
        }
        TRY_ASSIGN(const core::Index begin, begin_behind_state(parts, fsm, configuration, time_ms));
        added.push_back(raise_epoch_entry(begin, report.term, time_ms));
        TRY(parts.log->append(added));
    }
    report.last = joins ? parts.last() : core::Index{added.front().index.value - 1};
    wire::CommandResult result;
    TRY_ASSIGN(const core::Bytes bytes, apply_entry(fsm, added.back()));
    TRY(fsm.commit());
    if (!result.ParseFromString(bytes) || result.code() != 0) {
        return core::fail(core::Errc::kCorrupt, "the epoch was not raised: {}", result.message());
    }
    report.revision = {result.epoch(), result.revision()};
    return report;
}

}  // namespace smackd::storage
