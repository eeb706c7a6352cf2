// /smack/v1/directory-groups, and what sign-ins make of them.
#include "services/api/directory.h"

#include "core/names.h"
#include "core/sid.h"
#include "services/api/command_json.h"
#include "services/api/resource.h"
#include "storage/state/limits.h"

namespace smackd::services {

using core::Errc;
using core::Error;
using core::Result;
using net::Task;

namespace {

struct DirectoryGroups {
    using Put = wire::PutDirectoryGroup;
    static constexpr std::string_view kKind = "directory_group";
    static constexpr std::string_view kCollection = "directory_groups";
    static auto all(View& view) { return view.directory_groups(); }
    static auto one(View& view, const std::string& key) { return view.directory_group(key); }
    static const std::string& key(const Put& row) { return row.sid(); }
    static auto from_json(std::string_view key, const core::Json& body) {
        return directory_group_from_json(key, body);
    }
    static void put(wire::Command& command, Put row) {
        command.set_feature_level(storage::state::kLevelOfDirectoryGroups);
        *command.add_changes()->mutable_put_directory_group() = std::move(row);
    }
    static void remove(wire::Command& command, const std::string& key) {
        command.set_feature_level(storage::state::kLevelOfDirectoryGroups);
        command.add_changes()->mutable_remove_directory_group()->set_sid(key);
    }
};

std::unexpected<SignInRefusal> refuse(RefusalClass reason, Error error, const Proof& proof) {
    return std::unexpected(SignInRefusal{std::move(error), reason, proof.identity.principal, {}});
}

wire::Command command_of(const Proof& proof, const std::vector<std::string>& listed) {
    wire::Command command;
    command.set_feature_level(storage::state::kLevelOfDirectoryGroups);
    command.mutable_actor()->set_kind(wire::Actor::SYSTEM);
    command.mutable_actor()->set_principal("smackd");
    command.mutable_actor()->set_door("sign-in");
    wire::PutDirectoryUser& user = *command.add_changes()->mutable_put_directory_user();
    user.set_user(proof.identity.name);
    user.set_ticket_s(proof.directory->signed_in_s);
    // A name for people that is none for us is no reason to ignore the groups.
    const std::string& full_name = proof.directory->full_name;
    if (core::check_text("full_name", full_name, storage::state::kTextBytesMax))
        user.set_full_name(full_name);
    for (const std::string& sid : listed) user.add_sids(sid);
    return command;
}

enum class News : uint8_t { kNone, kTime, kGroups };

/// What the state does not know yet: other groups, or only that they are still the same.
News news_in(const DirectoryUser* known, const DirectoryWord& word, const std::vector<std::string>& listed) {
    if (known == nullptr) return listed.empty() ? News::kNone : News::kGroups;
    if (known->ticket_s > word.signed_in_s) return News::kNone;
    if (known->sids != listed) return News::kGroups;
    return word.signed_in_s - known->ticket_s >= kTicketTimeStepSeconds ? News::kTime : News::kNone;
}

/// Only a newer ticket, or a group that is gone, may be in the way; the state then has the last word.
Result<void> check_kept(const Result<wire::CommandResult>& proposed) {
    if (!proposed) return std::unexpected(proposed.error());
    const uint32_t code = proposed->code();
    const bool settled = code == 0 || code == static_cast<uint32_t>(Errc::kConflict) ||
                         code == static_cast<uint32_t>(Errc::kDenied);
    if (settled) return {};
    return core::fail(Errc::kUnavailable, "{}", proposed->message());
}

}  // namespace

Task<SignInResult<void>> follow_directory(Call& call, const Proof& proof) {
    if (!proof.directory) co_return SignInResult<void>();
    if (!proof.directory->problem.empty())
        co_return refuse(RefusalClass::kTicket, {Errc::kUnauthenticated, proof.directory->problem, 0}, proof);
    const PolicyView& policy = call.view->policy;
    if (!policy.lists_directory()) co_return SignInResult<void>();
    const std::vector<std::string> listed = policy.listed_sids(proof.directory->sids);
    const News news = news_in(policy.directory_user(proof.identity.name), *proof.directory, listed);
    StateDoor& state = call.api.environment.state;
    // The time alone must not keep anybody out while there is no leader.
    if (news == News::kNone || (news == News::kTime && state.status().leader.value == 0))
        co_return SignInResult<void>();
    auto proposed = co_await state.propose(command_of(proof, listed));
    call.api.cache.invalidate();
    if (auto kept = check_kept(proposed); !kept && news == News::kGroups) {
        Error error = std::move(kept.error());
        error.message = "keeping what the directory says of your groups: " + error.message;
        co_return refuse(RefusalClass::kRegistry, std::move(error), proof);
    }
    auto view = co_await call.api.cache.current();
    if (!view) co_return refuse(RefusalClass::kRegistry, std::move(view.error()), proof);
    call.view = std::move(*view);
    co_return SignInResult<void>();
}

namespace handlers {

Answer list_directory_groups(Call& call) {
    return list_rows<DirectoryGroups>(call);
}

Answer show_directory_group(Call& call) {
    return show_row<DirectoryGroups>(call);
}

Answer put_directory_group(Call& call) {
    CO_TRY(call.require(core::Action::kAdmin));
    if (call.view->cluster.embedded_realm()) {
        co_return core::fail(
            Errc::kUnsupported,
            "the realm is the cluster's own: its tickets name no groups; use: smackd group add");
    }
    auto answer = co_await put_row<DirectoryGroups>(call);
    co_return answer;
}

Answer remove_directory_group(Call& call) {
    return remove_row<DirectoryGroups>(call);
}

}  // namespace handlers
}  // namespace smackd::services
