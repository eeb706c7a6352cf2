#include "services/api/exec_note.h"

#include <cstring>

#include "core/utf8.h"
#include "net/crypto/random.h"
#include "net/scope.h"
#include "storage/state/limits.h"

namespace smackd::services {

using core::Errc;
using core::Result;
using net::Task;

ExecNote::ExecNote(ApiContext& api, std::string principal, wire::NoteExec what) : api_(api) {
    command_.set_feature_level(storage::state::kLevelOfExecNotes);
    wire::Actor* actor = command_.mutable_actor();
    actor->set_kind(wire::Actor::USER);
    actor->set_principal(std::move(principal));
    actor->set_door("api");
    // Recorded once, however often it is proposed.
    uint64_t client = 0;
    const core::Bytes random = net::crypto::random_bytes(sizeof client);
    std::memcpy(&client, random.data(), sizeof client);
    command_.set_client(client | 1U);
    command_.set_sequence(1);
    *command_.add_changes()->mutable_note_exec() = std::move(what);
}

Task<Result<void>> ExecNote::propose() {
    CO_TRY_ASSIGN(const wire::CommandResult result, co_await api_.environment.state.propose(command_));
    recorded_ = result.code() == 0;
    const auto code = static_cast<Errc>(result.code());
    if (recorded_ || code == Errc::kUnsupported) co_return Result<void>();
    co_return std::unexpected(core::Error{code, result.message(), 0});
}

Task<Result<void>> ExecNote::propose_until_decided() {
    for (;;) {
        auto proposed = co_await propose();
        if (proposed || !is_cluster_away(proposed.error())) co_return proposed;
        auto slept = co_await net::sleep(api_.environment.loop, kExecNoteAgain);
        if (!slept) co_return proposed;  // its reason says more
    }
}

Task<Result<void>> ExecNote::record() {
    co_return co_await net::with_deadline(api_.environment.loop, kExecNoteMax, "recording it in the audit",
                                          propose_until_decided());
}

Task<void> ExecNote::record_late() {
    command_.mutable_changes(0)->mutable_note_exec()->set_late(true);
    auto decided = co_await propose_until_decided();
    static_cast<void>(decided);  // the caller logs what is not recorded in the end
}

bool is_cluster_away(const core::Error& why) {
    return why.code == Errc::kUnavailable || why.code == Errc::kUnknownOutcome ||
           why.code == Errc::kTimeout || why.code == Errc::kBusy || why.code == Errc::kDiskFull;
}

std::string shown_program(std::string_view program) {
    std::string shown(program.substr(0, kShownProgramBytesMax));
    const bool text = core::is_utf8(shown);
    for (char& c : shown) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !text)) c = '?';
    }
    return shown;
}

}  // namespace smackd::services
