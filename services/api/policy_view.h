// The state's users, groups and rules as the doors ask them: may this caller in, and what may they see?
//
// A value made from one revision of the state and never changed: handlers keep the one they began with. It
// decides about reads and saves refused writes a round trip; apply decides about writes.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/policy.h"
#include "core/result.h"
#include "core/wire/command.pb.h"
#include "storage/feed/record.h"

namespace smackd::services {

/// The rows a view is made of, as the state has them.
struct PolicyRows {
    std::vector<wire::PutUser> users;
    std::vector<wire::PutGroup> groups;
    std::vector<wire::PutRule> rules;
    std::vector<wire::PutDirectoryGroup> directory_groups;
    std::vector<wire::PutDirectoryUser> directory_users;
};

/// What the last ticket of a user said.
struct DirectoryUser {
    int64_t ticket_s = 0;
    std::vector<std::string> sids;  ///< listed ones, sorted
};

class PolicyView {
 public:
    PolicyView() = default;
    /// Rules that do not pass core::Rule::check are left out: they grant nothing.
    explicit PolicyView(const PolicyRows& rows);

    /// The user with their groups. kDenied when the state has no such user, or it is disabled; the sentence
    /// says which and what an admin can do. `principal` is for the sentence.
    core::Result<core::Subject> admit(std::string_view user, std::string_view principal) const;

    /// kDenied names the rule that is missing.
    core::Result<void> authorize(const core::Subject& subject, const core::Request& request) const;
    /// kDenied, naming the rule that is missing, when no rule grants `action` anywhere.
    core::Result<void> authorize_somewhere(const core::Subject& subject, core::Action action) const;
    bool may(const core::Subject& subject, const core::Request& request) const;
    /// The rule that grants the request, or nullptr.
    const core::Rule* find_grant(const core::Subject& subject, const core::Request& request) const;

    /// The rules that name the subject, in the order of their ids.
    std::vector<const core::Rule*> grants(const core::Subject& subject) const;

    /// True when the subject may see this row of a feed kind: with `view` on its tenant (and the path of its
    /// app, where it belongs to one), or because it is about themselves (their user, their groups, rules that
    /// name them). Principals, secrets and tokens: admins only.
    bool sees(const core::Subject& subject, std::string_view kind, std::string_view key,
              std::string_view tenant = {}) const;

    /// The same for a change of the feed. A deployment is seen by whoever may view every app in it.
    bool sees(const core::Subject& subject, const storage::feed::Record& record) const;

    /// Groups a user is in, by name or by the directory, sorted.
    std::vector<std::string> groups_of(std::string_view user) const;

    /// Those of `sids` (sorted) that are listed as groups of a directory.
    std::vector<std::string> listed_sids(const std::vector<std::string>& sids) const;
    bool lists_directory() const { return !directory_groups_.empty(); }
    /// nullptr for a user whom no ticket named in a listed group yet.
    const DirectoryUser* directory_user(std::string_view user) const;

 private:
    struct User {
        bool disabled = false;
        std::vector<std::string> groups;
    };
    void add_directory(const PolicyRows& rows);
    bool concerns(const core::Subject& subject, std::string_view kind, std::string_view key) const;

    std::map<std::string, User, std::less<>> users_;
    std::vector<core::Rule> rules_;
    std::map<std::string, std::string, std::less<>> directory_groups_;  // SID -> group
    std::map<std::string, DirectoryUser, std::less<>> directory_users_;
};

}  // namespace smackd::services
