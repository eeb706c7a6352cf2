// What the engine hears from and says to its peers.
#include <algorithm>
#include <format>
#include <utility>

#include "core/assert.h"
#include "core/planted.h"
#include "storage/raft/configuration.h"
#include "storage/raft/engine.h"
#include "storage/raft/snapshot_fetch.h"

namespace smackd::storage {

const char* Engine::address_of(core::NodeId id) {
    std::string& address = addresses_[id.value];
    if (address.empty()) address = std::format("server-{}", id.value);
    return address.c_str();
}

void Engine::send(core::NodeId to, const wire::RaftMessage& message) {
    const uint64_t epoch = metadata_->value().epoch;
    core::Bytes bytes = message.SerializeAsString();
    if (epoch != 0) {
        wire::RaftMessage stamp;
        stamp.set_epoch(epoch);
        bytes += stamp.SerializeAsString();  // one message behind another is their union
    }
    environment_.transport.send(to, std::move(bytes));
}

/// Two sides of a `recover` have committed different things under the same indexes: neither may hear the
/// other. A server that holds nothing yet joins whichever side asks it in.
bool Engine::accept_epoch(core::NodeId from, uint64_t epoch) {
    const uint64_t own = metadata_->value().epoch;
    if (epoch == own || SMACK_BUG("older_epoch_let_in")) return true;
    const bool blank =
        metadata_->value().voters == 0 && memory_.last().value == 0 && snapshots_.list().empty();
    if (blank && recoveries_of(epoch) >= recoveries_of(own)) {
        Metadata next = metadata_->value();
        next.epoch = epoch;
        if (auto written = write_metadata(next); !written)
            logger_.error("the epoch cannot be stored", {{"reason", written.error().message}});
        return metadata_->value().epoch == epoch;
    }
    refuse_epoch(from, epoch);
    return false;
}

void Engine::refuse_epoch(core::NodeId from, uint64_t epoch) {
    const uint64_t own = metadata_->value().epoch;
    std::string_view reason = "older epoch: it was left behind by recover";
    if (recoveries_of(epoch) == recoveries_of(own)) {
        reason = "recovered apart from this server";
        events_.alarm(
            "recovered_apart",
            std::format("server {} was recovered apart from this one: they are two clusters now; keep "
                        "one, empty the data directory of the other and join it anew",
                        from.value));
    } else if (epoch > own) {
        reason = "newer epoch";
        events_.alarm(
            "older_epoch",
            std::format(
                "the cluster was recovered without this server (server {} knows of {} recoveries, here "
                "it is {}): what is on this disk is of before; empty the data directory and join anew",
                from.value, recoveries_of(epoch), recoveries_of(own)));
    }
    uint64_t& refused = refused_epochs_[from.value];
    const uint64_t told = epoch + 1;  // 0: nothing yet
    if (std::exchange(refused, told) == told) return;
    logger_.warning("messages refused", {{"from", from.value},
                                         {"reason", reason},
                                         {"recoveries", recoveries_of(epoch)},
                                         {"own", recoveries_of(own)}});
}

void Engine::send_messages(const raft_update& update) {
    for (unsigned i = 0; i < update.messages.n; ++i) {
        const raft_message& message = update.messages.batch[i];
        switch (message.type) {
            case RAFT_APPEND_ENTRIES:
                send_entries(message);
                break;
            case RAFT_INSTALL_SNAPSHOT:
                send_snapshot(message);
                break;
            case RAFT_REQUEST_VOTE_RESULT:
                send_vote_result(message);
                break;
            case RAFT_REQUEST_VOTE:
            case RAFT_APPEND_ENTRIES_RESULT:
            case RAFT_TIMEOUT_NOW:
                send(core::NodeId{message.server_id}, to_wire(message));
                break;
        }
    }
}

/// A refused pre-vote carries our term, not the one asked for: else a candidate of a lower term with the
/// longer log never learns of it, and two servers of three can refuse each other for ever.
void Engine::send_vote_result(const raft_message& message) {
    raft_message out = message;
    raft_request_vote_result& result = out.request_vote_result;
    if (result.pre_vote && !result.vote_granted) result.term = std::max<raft_term>(result.term, term().value);
    send(core::NodeId{message.server_id}, to_wire(out));
}

/// libraft counts entries, the transport bytes: a long run goes out as several messages.
void Engine::send_entries(const raft_message& message) {
    const raft_append_entries& args = message.append_entries;
    core::Index prev{args.prev_log_index};
    core::Term prev_term{args.prev_log_term};
    const core::Index last{args.prev_log_index + args.n_entries};
    do {
        wire::RaftMessage out;
        wire::AppendEntries& append = *out.mutable_append_entries();
        append.set_term(args.term);
        append.set_prev_log_index(prev.value);
        append.set_prev_log_term(prev_term.value);
        append.set_leader_commit(args.leader_commit);
        size_t bytes = 0;
        while (prev < last && append.entries_size() < kAppendEntriesMax) {
            const LogEntry& entry = memory_.get(prev.next());
            if (append.entries_size() > 0 && bytes + record_bytes(entry) > kAppendBytesMax) break;
            bytes += record_bytes(entry);
            wire::LogRecord& record = *append.add_entries();
            record.set_term(entry.term.value);
            record.set_type(static_cast<uint32_t>(entry.type));
            record.set_payload(*entry.payload);
            prev = entry.index;
            prev_term = entry.term;
        }
        send(core::NodeId{message.server_id}, out);
    } while (prev < last);
}

/// Offers the newest snapshot; the follower pulls it and libraft offers again until the follower has it.
void Engine::send_snapshot(const raft_message& message) {
    if (snapshots_.list().empty()) return;
    wire::RaftMessage out;
    wire::InstallSnapshot& install = *out.mutable_install_snapshot();
    install.set_term(message.install_snapshot.term);
    *install.mutable_manifest() = snapshots_.list().front();
    send(core::NodeId{message.server_id}, out);
}

void Engine::receive(core::NodeId from, core::BytesView bytes) {
    if (!running_ || failed_) return;
    auto message = parse_raft_message(from, bytes);
    if (!message) {
        logger_.warning("message refused", {{"from", from.value}, {"reason", message.error().message}});
        return;
    }
    if (!accept_epoch(from, message->epoch())) return;
    heard_[from.value] = environment_.clock.now();
    using Body = wire::RaftMessage;
    switch (message->body_case()) {
        case Body::kAppendEntries:
            return receive_append(from, take_append_entries(*message->mutable_append_entries()));
        case Body::kInstallSnapshot:
            return receive_install(from, message->install_snapshot());
        case Body::kChunkRequest:
            return receive_chunk_request(from, message->chunk_request());
        case Body::kChunkReply:
            return fetch_->receive(from, *message->mutable_chunk_reply());
        case Body::kStepDown:
            if (message->step_down().term() == term().value) lost(from);
            return;
        case Body::kRequestVote:
        case Body::kRequestVoteResult:
        case Body::kTimeoutNow:
            // No part in elections while something acknowledged may be missing here.
            if (damage_term().value != 0) return;
            break;
        case Body::kAppendEntriesResult:
            if (is_stale(from, message->append_entries_result())) return;
            break;
        case Body::BODY_NOT_SET:
            break;
    }
    if (message->has_request_vote()) return receive_vote_request(from, *message);
    raft_message received = from_wire(*message, from, address_of(from));
    Step receipt;
    receipt.event.type = RAFT_RECEIVE;
    receipt.event.receive.message = &received;
    if (step(receipt) != 0) fail(std::format("libraft fails at a message of server {}", from.value));
}

/// A late rejection of an entry that the server has acknowledged since. While libraft probes a server it
/// takes it for news, sets its next index below what is matched, and sends that server nothing ever after.
bool Engine::is_stale(core::NodeId from, const wire::AppendEntriesResult& result) const {
    raft_index match = 0;
    const bool leads =
        raft_.state == RAFT_LEADER && result.term() == term().value && !SMACK_BUG("late_rejection_taken");
    return leads && result.rejected() != 0 && raft_match_index(&raft_, from.value, &match) == 0 &&
           result.rejected() <= match;
}

/// Votes are given whatever our own configuration says of us (Ongaro 4.2.2): it may be a newer, uncommitted
/// one that the candidate has not, and libraft, which asks it, would then refuse for ever. The candidate
/// counts only its voters.
void Engine::receive_vote_request(core::NodeId from, const wire::RaftMessage& message) {
    if (may_elect_another()) forget_leader();
    raft_server* own = nullptr;
    for (unsigned i = 0; i < raft_.configuration.n; ++i) {
        raft_server& server = raft_.configuration.servers[i];
        if (server.id == options_.self.value && server.role == RAFT_STANDBY) own = &server;
    }
    raft_message received = from_wire(message, from, address_of(from));
    Step receipt;
    receipt.event.type = RAFT_RECEIVE;
    receipt.event.receive.message = &received;
    const raft_server* servers = raft_.configuration.servers;
    if (own != nullptr) own->role = RAFT_VOTER;
    const int outcome = step(receipt);
    if (own != nullptr && raft_.configuration.servers == servers) own->role = RAFT_STANDBY;
    if (outcome != 0) fail(std::format("libraft fails at a vote request of server {}", from.value));
}

void Engine::note_leader_contact(core::NodeId from, core::Term message_term) {
    if (message_term == term() && leader() == from) leader_contact_ = environment_.clock.now();
}

void Engine::receive_append(core::NodeId from, AppendRequest request) {
    if (raft_.state == RAFT_LEADER && request.term == term()) {
        return fail(std::format("server {} claims to lead term {} as well", from.value, request.term.value));
    }
    const core::Term request_term = request.term;
    if (request.term >= term() && !skip_known(request)) return;
    // libraft takes a configuration for the first entry of a message, so each one gets to be that.
    std::span<const LogEntry> rest(request.entries);
    core::Index prev = request.prev_index;
    core::Term prev_term = request.prev_term;
    do {
        size_t count = std::min<size_t>(rest.size(), 1);
        while (count < rest.size() && rest[count].type != EntryType::kConfiguration) ++count;
        step_append(from, request, rest.first(count), prev, prev_term);
        if (failed_ || term() != request_term || count == 0) break;
        prev = rest[count - 1].index;
        prev_term = rest[count - 1].term;
        rest = rest.subspan(count);
    } while (!rest.empty() && memory_.term_of(prev) == prev_term);
    note_leader_contact(from, request_term);
}

/// Drops entries that are committed here already: a late message may reach back to before our snapshot, where
/// libraft would take them for new. False when it contradicts what is committed.
bool Engine::skip_known(AppendRequest& request) {
    const core::Index commit = commit_index();
    if (request.prev_index >= commit) return true;
    if (raft_.snapshot.installing) return false;
    size_t known = 0;
    for (const LogEntry& entry : request.entries) {
        if (entry.index > commit) break;
        const core::Term here = memory_.term_of(entry.index);
        if (here.value != 0 && here != entry.term) {
            fail(std::format("entry {} is committed with term {} here, the leader of term {} has {}",
                             entry.index.value, here.value, request.term.value, entry.term.value));
            return false;
        }
        ++known;
    }
    request.entries.erase(request.entries.begin(),
                          request.entries.begin() + static_cast<std::ptrdiff_t>(known));
    request.prev_index = commit;
    request.prev_term = memory_.term_of(commit);
    // A message that ends below our commit index says nothing about what is above.
    if (request.entries.empty()) request.leader_commit = std::min(request.leader_commit, commit);
    return true;
}

void Engine::step_append(core::NodeId from, const AppendRequest& request, std::span<const LogEntry> entries,
                         core::Index prev_index, core::Term prev_term) {
    // libraft frees the batch of entries it does not take; the payloads are ours either way.
    void* batch = entries.empty() ? nullptr : raft_malloc(1);
    std::vector<raft_entry> array;
    for (const LogEntry& entry : entries) {
        array.push_back(raft_entry{
            .term = entry.term.value,
            .type = static_cast<raft_entry_type>(entry.type),
            .buf = {.base = const_cast<char*>(entry.payload->data()), .len = entry.payload->size()},
            .batch = batch});
    }
    raft_message received{};
    received.type = RAFT_APPEND_ENTRIES;
    received.server_id = from.value;
    received.server_address = address_of(from);
    received.append_entries = {.version = 0,
                               .term = request.term.value,
                               .prev_log_index = prev_index.value,
                               .prev_log_term = prev_term.value,
                               .leader_commit = request.leader_commit.value,
                               .entries = array.data(),
                               .n_entries = static_cast<unsigned>(array.size())};
    Step receipt;
    receipt.event.type = RAFT_RECEIVE;
    receipt.event.receive.message = &received;
    receipt.entries = entries;
    receipt.array = array.data();
    receipt.batch = batch;
    if (step(receipt) != 0) fail(std::format("libraft fails at entries of server {}", from.value));
}

void Engine::receive_install(core::NodeId from, const wire::InstallSnapshot& install) {
    const core::Term message_term{install.term()};
    // The leader's heartbeats carry its term here; an offer of another term is late.
    if (message_term != term() || raft_.state == RAFT_LEADER || installing_) return;
    const wire::SnapshotManifest& manifest = install.manifest();
    const bool known = raft_.trail.snapshot.index >= manifest.index() ||
                       memory_.term_of(core::Index{manifest.index()}).value == manifest.term();
    if (known) return install_fetched(from, message_term, manifest, "");
    fetch_->offer(from, message_term, manifest);
}

/// The snapshot is here, with a copy of its files in `folder`, or not needed: libraft decides, and asks for
/// the installation when it is ahead of us.
void Engine::install_fetched(core::NodeId from, core::Term message_term,
                             const wire::SnapshotManifest& manifest, const std::string& folder) {
    if (!running_ || failed_) return;
    if (installing_ || message_term != term() || raft_.state == RAFT_LEADER) return discard_copy(folder);
    raft_message received{};
    received.type = RAFT_INSTALL_SNAPSHOT;
    received.server_id = from.value;
    received.server_address = address_of(from);
    raft_install_snapshot& args = received.install_snapshot;
    args.term = message_term.value;
    args.last_index = manifest.index();
    args.last_term = manifest.term();
    args.conf_index = manifest.configuration_index();
    args.data = {.base = raft_malloc(8), .len = 8};  // the contents travel beside libraft
    auto servers = decode_configuration(manifest.configuration());
    SMACK_ASSERT(servers && to_raft(*servers, args.conf));
    installing_ = manifest;
    install_folder_ = folder;
    Step receipt;
    receipt.event.type = RAFT_RECEIVE;
    receipt.event.receive.message = &received;
    const int outcome = step(receipt);
    if (!raft_.snapshot.installing) {
        installing_.reset();
        discard_copy(folder);
    }
    if (outcome != 0) fail("libraft refuses a snapshot offer");
}

void Engine::discard_copy(const std::string& folder) {
    if (folder.empty()) return;
    environment_.snapshot_executor.submit(
        [&store = snapshots_, folder, logger = logger_] {
            if (auto removed = store.remove_copy(folder); !removed)
                logger.warning("copy of a snapshot stays", {{"reason", removed.error().message}});
        },
        [] {});
}

void Engine::receive_chunk_request(core::NodeId from, const wire::ChunkRequest& request) {
    struct Job {
        wire::SnapshotManifest manifest;
        core::Result<core::Bytes> data = core::fail(core::Errc::kNotFound, "no such snapshot");
    };
    auto job = std::make_shared<Job>();
    bool found = false;
    for (const wire::SnapshotManifest& manifest : snapshots_.list()) {
        if (manifest.index() != request.index() || manifest.term() != request.term()) continue;
        job->manifest = manifest;
        found = true;
    }
    environment_.snapshot_executor.submit(
        [&store = snapshots_, job, request, found] {
            if (found) job->data = store.read_chunk(job->manifest, request.file(), request.chunk());
        },
        [this, job, from, request, alive = alive_] {
            if (!*alive || !running_) return;
            wire::RaftMessage out;
            wire::ChunkReply& reply = *out.mutable_chunk_reply();
            reply.set_index(request.index());
            reply.set_term(request.term());
            reply.set_file(request.file());
            reply.set_chunk(request.chunk());
            if (job->data) {
                reply.set_data(std::move(*job->data));
            } else {
                reply.set_missing(true);
                if (job->data.error().code == core::Errc::kCorrupt)
                    events_.snapshot_lost(job->data.error().message);
            }
            send(from, out);
        });
}

}  // namespace smackd::storage
