// What a definition asks for beyond its own tasks: rights on the node it runs on, and what only one app of a
// cluster can have.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/policy.h"
#include "core/wire/app.pb.h"

namespace smackd::apps {

/// A right that a definition takes besides `launch` or `change`, and what of it does.
struct NeededRight {
    core::Action action = core::Action::kAdmin;
    std::string reason;  ///< for people: "a privileged container (...)"
};

/// `admin` for what has the node (privileged containers, volumes of host paths) or a name of the cluster,
/// `host` for the node's network. The same rights are needed to change such an app, or somebody without them
/// could put a command of theirs into it.
std::vector<NeededRight> needed_rights(const wire::AppDefinition& app);
/// Those that feature levels 4 and 5 know.
std::vector<NeededRight> needed_rights_before_names(const wire::AppDefinition& app);

/// What nobody else may take from an app: "port 19001", "host p1.dcos"; DNS names "name web-shop" (dotted and
/// as one label) and "vip shop:80".
std::set<std::string> claims_of(const wire::AppDefinition& app);
/// Those that feature levels 4 and 5 know.
std::set<std::string> claims_before_names(const wire::AppDefinition& app);

/// Claims of others that exclude one: itself, and between service ports and fixed host ports each other's
/// number ("port 80" and "host port 80"; the same host port on two nodes is nobody's loss).
std::vector<std::string> excluded_by(const std::string& claim);

/// The refusal of an app that asks for a right its author lacks; `missing` is what the policy says.
std::string text_of_missing_right(const wire::AppDefinition& app, const NeededRight& right,
                                  std::string_view missing);
/// The refusal of an app that claims what is another's. `owner` is empty for one that its author may not see.
std::string text_of_taken_claim(const std::string& app, const std::string& claim, const std::string& owner);

}  // namespace smackd::apps
