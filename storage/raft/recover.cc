// `smackd recover`: goes on from what is on this disk when the others, or a part of the log, are gone for
// good.
#include <format>

#include "storage/log/folder.h"
#include "storage/log/log.h"
#include "storage/log/metadata.h"
#include "storage/log/snapshot_store.h"
#include "storage/raft/configuration.h"
#include "storage/replica.h"

namespace smackd::storage {
namespace {

struct Parts {
    MetadataStore metadata;
    SnapshotStore& snapshots;
    std::unique_ptr<Log> log;
    LogContents contents;
    core::Index last() const { return core::Index{contents.first.value + contents.entries.size() - 1}; }
};

/// The state as a snapshot, so that the log can begin behind it.
core::Result<void> begin_behind_state(Parts& parts, Fsm& fsm, const core::Bytes& configuration) {
    TRY_ASSIGN(SnapshotTask task, fsm.begin_snapshot());
    TRY_ASSIGN(const std::string folder, parts.snapshots.begin_taking());
    TRY(task.copy(folder));
    wire::SnapshotManifest manifest;
    manifest.set_index(task.index.value);
    manifest.set_term(parts.metadata.value().term.value);
    manifest.set_configuration(configuration);
    manifest.set_configuration_index(task.index.value);
    TRY(parts.snapshots.finish_taking(manifest));
    TRY(parts.snapshots.verify(manifest));
    parts.snapshots.adopt(manifest);
    TRY(parts.snapshots.prune(1));
    return parts.log->reset(task.index.next());
}

/// What the log lacks between the newest snapshot, the state and its own beginning or end.
bool log_joins(const Parts& parts, core::Index applied) {
    const uint64_t snapshot = parts.snapshots.list().empty() ? 0 : parts.snapshots.list().front().index();
    return parts.contents.first.value <= snapshot + 1 && applied.next() >= parts.contents.first &&
           applied <= parts.last() && !parts.contents.entries.empty();
}

}  // namespace

core::Result<RecoveryReport> Replica::recover(const ReplicaOptions& options, core::Disk& disk, Fsm& fsm,
                                              const Server& self) {
    RecoveryReport report;
    TRY_ASSIGN(core::Bytes configuration, encode_configuration({self}));
    SnapshotStore snapshots(disk, options.directory + "/snapshots");
    TRY(snapshots.open(report.lost));
    TRY_ASSIGN(MetadataStore metadata, MetadataStore::open(disk, options.directory + "/meta"));
    if (metadata.value() == Metadata{}) {
        return core::fail(core::Errc::kNotFound, "{} holds no server's data", options.directory);
    }
    Parts parts{.metadata = std::move(metadata), .snapshots = snapshots, .log = {}, .contents = {}};
    TRY_ASSIGN(parts.log, Log::open(disk, options.directory + "/log", options.segment_bytes, parts.contents));
    if (parts.contents.damage) {
        report.lost.push_back(
            std::format("{} ({})", parts.contents.damage->range(), parts.contents.damage->what));
        TRY(parts.log->repair());
    }
    report.applied = fsm.applied();
    report.last = std::max(parts.last(), report.applied);
    // A new term, so that nothing of before can be taken for something of now.
    Metadata next = parts.metadata.value();
    next.term = next.term.next();
    report.term = next.term;
    next.vote = {};
    next.voters = 1;
    next.damage_term = {};
    ++next.epoch;
    TRY(parts.metadata.write(next));
    if (!log_joins(parts, report.applied)) {
        if (report.applied.value == 0) {
            return core::fail(core::Errc::kCorrupt,
                              "neither log nor state on this disk can be used: restore a backup");
        }
        TRY(begin_behind_state(parts, fsm, configuration));
        return report;
    }
    const LogEntry entry{.index = parts.last().next(),
                         .term = next.term,
                         .type = EntryType::kConfiguration,
                         .payload = std::make_shared<const core::Bytes>(std::move(configuration))};
    TRY(parts.log->append(std::span(&entry, 1)));
    return report;
}

}  // namespace smackd::storage
