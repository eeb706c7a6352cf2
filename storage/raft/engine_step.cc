// One event through libraft, and what follows from it.
#include <algorithm>
#include <format>

#include "core/assert.h"
#include "core/planted.h"
#include "storage/raft/configuration.h"
#include "storage/raft/engine.h"
#include "storage/raft/snapshot_fetch.h"

namespace smackd::storage {

int Engine::step(Step& step) {
    SMACK_ASSERT(!stepping_);
    raft_update update{};
    step.event.time = now_ms();
    step.event.capacity = 0;
    stepping_ = true;
    const int outcome = raft_step(&raft_, &step.event, &update);
    if (outcome == 0) carry_out(update, step);
    stepping_ = false;
    if (outcome != 0) return outcome;
    deliver_committed();
    follow_role();
    heal();
    schedule_timer();
    return 0;
}

/// The order matters: term and vote are durable before a message that depends on them leaves.
void Engine::carry_out(const raft_update& update, const Step& step) {
    if ((update.flags & (RAFT_UPDATE_CURRENT_TERM | RAFT_UPDATE_VOTED_FOR)) != 0) persist_term_and_vote();
    if (failed_) return;
    if ((update.flags & (RAFT_UPDATE_ENTRIES)) != 0) accept_entries(update, step);
    if (failed_) return;
    if ((update.flags & (RAFT_UPDATE_SNAPSHOT)) != 0) accept_snapshot(update);
    if ((update.flags & (RAFT_UPDATE_MESSAGES)) != 0) send_messages(update);
}

void Engine::persist_term_and_vote() {
    Metadata next = metadata_->value();
    next.term = term();
    next.vote = core::NodeId{raft_voted_for(&raft_)};
    if (SMACK_BUG("vote_not_persisted")) next.vote = {};
    if (auto written = write_metadata(next); !written) {
        fail(std::format("term and vote cannot be stored: {}", written.error().message));
    }
}

void Engine::accept_entries(const raft_update& update, const Step& step) {
    LogWrite write;
    const raft_entry* batch = update.entries.batch;
    const bool ours =
        step.array != nullptr && batch >= step.array && batch < step.array + step.entries.size();
    const size_t offset = ours ? static_cast<size_t>(batch - step.array) : 0;
    for (unsigned i = 0; i < update.entries.n; ++i) {
        LogEntry entry;
        if (ours) {
            entry = step.entries[offset + i];
        } else {
            // The no-op that libraft makes itself when a leadership begins.
            const raft_buffer& buffer = batch[i].buf;
            entry = LogEntry{.index = {update.entries.index + i},
                             .term = {batch[i].term},
                             .type = static_cast<EntryType>(batch[i].type),
                             .payload = std::make_shared<const core::Bytes>(
                                 static_cast<const char*>(buffer.base), buffer.len)};
        }
        SMACK_ASSERT(entry.index.value == update.entries.index + i && entry.term.value == batch[i].term);
        write.serials.push_back(memory_.append(entry));
        write.entries.push_back(std::move(entry));
    }
    if (!ours || step.batch != nullptr) raft_free(batch[0].batch);
    writer_->submit(std::move(write));
}

/// How many voters there are decides what damage to this disk means. Stored once the entry is durable and
/// before it is acknowledged: a newcomer whose first write was cut by a power failure is blank, not damaged.
core::Result<void> Engine::note_voters(const LogEntry& entry) {
    if (entry.type != EntryType::kConfiguration) return {};
    Metadata next = metadata_->value();
    if (auto servers = decode_configuration(*entry.payload)) next.voters = count_voters(*servers);
    return write_metadata(next);
}

/// A batch is durable: tell libraft how far, unless entries of it have been replaced meanwhile.
void Engine::written(const LogWrite& write) {
    if (!running_ || failed_) return;
    if (write.kind == LogWrite::Kind::kReset && installing_) {
        const wire::SnapshotManifest manifest = *installing_;
        installing_.reset();
        delivered_ = core::Index{manifest.index()};
        Step installed;
        installed.event.type = RAFT_PERSISTED_SNAPSHOT;
        raft_snapshot_metadata& metadata = installed.event.persisted_snapshot.metadata;
        metadata.index = manifest.index();
        metadata.term = manifest.term();
        metadata.configuration = installing_configuration_;
        metadata.configuration_index = manifest.configuration_index();
        installed.event.persisted_snapshot.last = true;
        Metadata next = metadata_->value();
        next.voters = count_voters(from_raft(installing_configuration_));
        if (auto stored = write_metadata(next); !stored) return fail(stored.error().message);
        events_.snapshot_installed(manifest, install_folder_);
        if (step(installed) != 0) fail("libraft refuses an installed snapshot");
        return;
    }
    if (write.kind != LogWrite::Kind::kAppend || raft_.snapshot.installing) return;
    fetch_->not_needed();
    core::Index upto;
    for (size_t i = 0; i < write.entries.size(); ++i) {
        if (memory_.serial_of(write.entries[i].index) != write.serials[i]) break;
        upto = write.entries[i].index;
        if (auto stored = note_voters(write.entries[i]); !stored) return fail(stored.error().message);
    }
    if (upto.value <= raft_.last_stored) return;
    Step persisted;
    persisted.event.type = RAFT_PERSISTED_ENTRIES;
    persisted.event.persisted_entries.index = upto.value;
    if (step(persisted) != 0) fail("libraft fails after a write");
}

/// A copy of the snapshot is ready for the state machine: the log is voided, then the copy is handed over.
void Engine::accept_snapshot(const raft_update& update) {
    SMACK_ASSERT(installing_.has_value() && !install_folder_.empty());
    installing_configuration_ = update.snapshot.metadata.configuration;
    raft_free(update.snapshot.chunk.base);
    const wire::SnapshotManifest& manifest = *installing_;
    memory_.restore(core::Index{manifest.index()}, core::Term{manifest.term()});
    LogWrite write;
    write.kind = LogWrite::Kind::kReset;
    write.index = core::Index{manifest.index() + 1};
    writer_->submit(std::move(write));
}

void Engine::deliver_committed() {
    while (!raft_.snapshot.installing && !failed_ && running_ && delivered_ < commit_index()) {
        const core::Index index = delivered_.next();
        SMACK_ASSERT(memory_.contains(index));
        const LogEntry entry = memory_.get(index);
        delivered_ = index;
        if (entry.type == EntryType::kConfiguration) confirm_configuration(index, *entry.payload);
        events_.committed(entry);
    }
}

bool Engine::deliver_again(core::Index index) {
    if (raft_.snapshot.installing || failed_ || !running_) return false;
    if (index < delivered_ && !memory_.contains(index.next())) return false;
    for (core::Index next = index.next(); next <= delivered_; next = next.next())
        events_.committed(memory_.get(next));
    return true;
}

void Engine::confirm_configuration(core::Index index, const core::Bytes& payload) {
    Step confirmed;
    confirmed.event.type = RAFT_CONFIGURATION;
    confirmed.event.configuration.index = index.value;
    auto servers = decode_configuration(payload);
    if (!servers || !to_raft(*servers, confirmed.event.configuration.conf))
        return fail("a configuration in the log is unreadable");
    raft_update update{};
    confirmed.event.time = now_ms();
    stepping_ = true;
    const int outcome = raft_step(&raft_, &confirmed.event, &update);
    if (outcome == 0) carry_out(update, confirmed);
    stepping_ = false;
    if (outcome != 0) fail("libraft refuses a configuration");
    for (const Server& server : from_configuration())
        environment_.transport.set_address(server.id, server.address);
}

/// Notices a change of role, term or leader; a new leader starts its term with a no-op.
void Engine::follow_role() {
    if (failed_ || !running_) return;
    const bool became_leader =
        raft_.state == RAFT_LEADER && (last_role_ != RAFT_LEADER || last_term_ != term());
    const bool changed = raft_.state != last_role_ || last_term_ != term() || last_leader_ != leader();
    last_role_ = raft_.state;
    last_term_ = term();
    last_leader_ = leader();
    if (raft_.state != RAFT_LEADER) term_start_ = {};
    if (became_leader) {
        term_start_ = {};
        leads_since_ = environment_.clock.now();
        const bool has_noop = memory_.contains(memory_.last()) && memory_.term_of(memory_.last()) == term();
        if (has_noop) {
            term_start_ = memory_.last();
        } else if (auto index = submit(EntryType::kBarrier, std::make_shared<const core::Bytes>(8, '\0'))) {
            if (raft_.state == RAFT_LEADER) term_start_ = *index;
        }
        logger_.info(
            "leader",
            {{"term", term().value}, {"last", memory_.last().value}, {"commit", commit_index().value}});
    }
    if (changed) events_.changed();
}

/// Once an entry of a later term than the damage is committed and stored here, nothing acknowledged is
/// missing.
void Engine::heal() {
    if (failed_ || damage_term().value == 0 || raft_.snapshot.installing) return;
    const core::Index sure{std::min<uint64_t>(raft_.commit_index, raft_.last_stored)};
    if (memory_.term_of(sure) <= damage_term()) return;
    Metadata next = metadata_->value();
    next.damage_term = {};
    if (auto written = write_metadata(next); !written) return fail(written.error().message);
    logger_.info("log is complete again, voting", {{"index", sure.value}});
    events_.alarm("log_damaged", "");
    events_.changed();
}

}  // namespace smackd::storage
