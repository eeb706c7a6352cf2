#include "storage/raft/message.h"

#include "core/assert.h"
#include "core/planted.h"
#include "storage/log/snapshot_store.h"
#include "storage/raft/configuration.h"

namespace smackd::storage {
namespace {

// The versions libraft 0.22.1 puts on its own messages; results below 2 would lack the pre-vote flag.
constexpr unsigned char kVoteVersion = 2;
constexpr unsigned char kResultVersion = 2;
constexpr uint32_t kFeaturesMax = 0xFFFF;

auto invalid(std::string_view what) {
    return core::fail(core::Errc::kInvalid, "raft message: {}", what);
}

core::Result<void> check(const wire::AppendEntries& append) {
    if (append.term() == 0) return invalid("append_entries.term must not be 0");
    if ((append.prev_log_index() == 0) != (append.prev_log_term() == 0)) {
        return invalid("append_entries: prev_log_index and prev_log_term must be 0 together");
    }
    if (append.entries_size() > kAppendEntriesMax) return invalid("append_entries: too many entries");
    uint64_t term = append.prev_log_term();
    for (const wire::LogRecord& record : append.entries()) {
        if ((record.term() < term && !SMACK_BUG("fuzz_raft_message")) || record.term() == 0)
            return invalid("append_entries: terms must not decrease");
        term = record.term();
        if (record.type() < 1 || record.type() > 3) return invalid("append_entries: unknown entry type");
        if (record.payload().size() > kRecordPayloadBytesMax)
            return invalid("append_entries: entry too long");
        if (record.type() == static_cast<uint32_t>(EntryType::kConfiguration)) {
            TRY(decode_configuration(record.payload()));
        }
    }
    if (term > append.term()) return invalid("append_entries: an entry is newer than its leader");
    if (append.prev_log_index() > UINT64_MAX / 2)
        return invalid("append_entries: prev_log_index out of range");
    return {};
}

core::Result<void> check(const wire::RequestVote& vote, core::NodeId from) {
    if (vote.term() == 0) return invalid("request_vote.term must not be 0");
    if (vote.candidate() != from.value) return invalid("request_vote.candidate is not the sender");
    return {};
}

core::Result<void> check(const wire::InstallSnapshot& install) {
    if (install.term() == 0) return invalid("install_snapshot.term must not be 0");
    TRY(check_manifest(install.manifest()));
    TRY(decode_configuration(install.manifest().configuration()));
    return {};
}

core::Result<void> check_body(const wire::RaftMessage& message, core::NodeId from) {
    using Body = wire::RaftMessage;
    switch (message.body_case()) {
        case Body::kAppendEntries:
            return check(message.append_entries());
        case Body::kRequestVote:
            return check(message.request_vote(), from);
        case Body::kInstallSnapshot:
            return check(message.install_snapshot());
        case Body::kRequestVoteResult:
            if (message.request_vote_result().features() > kFeaturesMax)
                return invalid("features out of range");
            if (message.request_vote_result().capacity() > kFeaturesMax)
                return invalid("capacity out of range");
            return {};
        case Body::kAppendEntriesResult:
            if (message.append_entries_result().features() > kFeaturesMax)
                return invalid("features out of range");
            if (message.append_entries_result().capacity() > kFeaturesMax)
                return invalid("capacity out of range");
            return {};
        case Body::kTimeoutNow:
        case Body::kStepDown:
        case Body::kChunkRequest:
        case Body::kChunkReply:
            return {};
        case Body::BODY_NOT_SET:
            break;
    }
    return invalid("kind not known to this version");
}

}  // namespace

core::Result<wire::RaftMessage> parse_raft_message(core::NodeId from, core::BytesView bytes) {
    wire::RaftMessage message;
    if (bytes.size() > INT32_MAX || !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
        return invalid("not a message");
    }
    TRY(check_body(message, from));
    return message;
}

AppendRequest take_append_entries(wire::AppendEntries& message) {
    AppendRequest request;
    request.term = {message.term()};
    request.prev_index = {message.prev_log_index()};
    request.prev_term = {message.prev_log_term()};
    request.leader_commit = {message.leader_commit()};
    uint64_t index = message.prev_log_index();
    for (wire::LogRecord& record : *message.mutable_entries()) {
        request.entries.push_back(
            LogEntry{.index = {++index},
                     .term = {record.term()},
                     .type = static_cast<EntryType>(record.type()),
                     .payload = std::make_shared<const core::Bytes>(std::move(*record.mutable_payload()))});
    }
    return request;
}

wire::RaftMessage to_wire(const raft_message& message) {
    wire::RaftMessage out;
    switch (message.type) {
        case RAFT_REQUEST_VOTE: {
            const raft_request_vote& from = message.request_vote;
            wire::RequestVote& to = *out.mutable_request_vote();
            to.set_term(from.term);
            to.set_candidate(from.candidate_id);
            to.set_last_log_index(from.last_log_index);
            to.set_last_log_term(from.last_log_term);
            to.set_disrupt_leader(from.disrupt_leader);
            to.set_pre_vote(from.pre_vote);
            break;
        }
        case RAFT_REQUEST_VOTE_RESULT: {
            const raft_request_vote_result& from = message.request_vote_result;
            wire::RequestVoteResult& to = *out.mutable_request_vote_result();
            to.set_term(from.term);
            to.set_vote_granted(from.vote_granted);
            to.set_pre_vote(from.pre_vote);
            to.set_features(from.features);
            to.set_capacity(from.capacity);
            break;
        }
        case RAFT_APPEND_ENTRIES_RESULT: {
            const raft_append_entries_result& from = message.append_entries_result;
            wire::AppendEntriesResult& to = *out.mutable_append_entries_result();
            to.set_term(from.term);
            to.set_rejected(from.rejected);
            to.set_last_log_index(from.last_log_index);
            to.set_features(from.features);
            to.set_capacity(from.capacity);
            break;
        }
        case RAFT_TIMEOUT_NOW: {
            const raft_timeout_now& from = message.timeout_now;
            wire::TimeoutNow& to = *out.mutable_timeout_now();
            to.set_term(from.term);
            to.set_last_log_index(from.last_log_index);
            to.set_last_log_term(from.last_log_term);
            break;
        }
        case RAFT_APPEND_ENTRIES:
        case RAFT_INSTALL_SNAPSHOT:
            SMACK_ASSERT(false);
            break;
    }
    return out;
}

raft_message from_wire(const wire::RaftMessage& message, core::NodeId from, const char* address) {
    raft_message out{};
    out.server_id = from.value;
    out.server_address = address;
    if (message.has_request_vote()) {
        const wire::RequestVote& vote = message.request_vote();
        out.type = RAFT_REQUEST_VOTE;
        out.request_vote = {.version = kVoteVersion,
                            .term = vote.term(),
                            .candidate_id = vote.candidate(),
                            .last_log_index = vote.last_log_index(),
                            .last_log_term = vote.last_log_term(),
                            .disrupt_leader = vote.disrupt_leader(),
                            .pre_vote = vote.pre_vote()};
    } else if (message.has_request_vote_result()) {
        const wire::RequestVoteResult& result = message.request_vote_result();
        out.type = RAFT_REQUEST_VOTE_RESULT;
        out.request_vote_result = {.version = kResultVersion,
                                   .term = result.term(),
                                   .vote_granted = result.vote_granted(),
                                   .pre_vote = result.pre_vote(),
                                   .features = static_cast<unsigned short>(result.features()),
                                   .capacity = static_cast<unsigned short>(result.capacity())};
    } else if (message.has_append_entries_result()) {
        const wire::AppendEntriesResult& result = message.append_entries_result();
        out.type = RAFT_APPEND_ENTRIES_RESULT;
        out.append_entries_result = {.version = kResultVersion,
                                     .term = result.term(),
                                     .rejected = result.rejected(),
                                     .last_log_index = result.last_log_index(),
                                     .features = static_cast<unsigned short>(result.features()),
                                     .capacity = static_cast<unsigned short>(result.capacity())};
    } else {
        SMACK_ASSERT(message.has_timeout_now());
        const wire::TimeoutNow& now = message.timeout_now();
        out.type = RAFT_TIMEOUT_NOW;
        out.timeout_now = {.version = 0,
                           .term = now.term(),
                           .last_log_index = now.last_log_index(),
                           .last_log_term = now.last_log_term()};
    }
    return out;
}

}  // namespace smackd::storage
