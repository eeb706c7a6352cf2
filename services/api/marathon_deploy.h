// One change of applications by a user: what the definitions become, checked, stamped, with its deployment,
// proposed as one command.
#pragma once

#include <set>
#include <string>

#include "core/apps/deployment.h"
#include "core/marathon/app_json.h"
#include "core/marathon/problem.h"
#include "services/api/call.h"
#include "services/apps/model.h"

namespace smackd::services {

inline constexpr int kDeployAttempts = 4;          ///< when others change the same apps at the same time
inline constexpr size_t kAppsPerRequestMax = 100;  ///< that one request may change

/// The definitions as a request wants them; an edit starts from those there are.
struct WantedApps {
    apps::Apps apps;
    apps::Groups groups;
    std::set<std::string> restarted;  ///< all tasks are replaced though nothing differs
    apps::Apps rolled_back;           ///< to these versions: their tasks stay current
};

/// Changes `wanted`; called again with the state of then when others were faster.
using AppsEdit = core::Callback<marathon::Checked<void>(const AppsModel& model, WantedApps& wanted)>;

struct Deployed {
    int64_t version_ms = 0;
    std::string deployment;
};

template <class T>
using Outcome = std::expected<T, net::http::Response>;  ///< or the refusal, ready to be sent

/// 403 names the missing right.
marathon::Checked<void> allowed(const Call& call, core::Action action, const std::string& id);
/// The same for whoever may neither launch nor change the app: they are not told whether it exists.
marathon::Checked<void> allowed_to_put(const Call& call, const std::string& id);

/// 403 names the missing right and is recorded, 409 the deployments in the way (none with `force`), 422 what
/// is wrong with the whole.
net::Task<Outcome<Deployed>> deploy(Call& call, AppsEdit edit, bool force);

/// The command that deploy() would propose, with its refusals but those of apply; without changes where there
/// is nothing to do. Nothing changes.
net::Task<Outcome<wire::Command>> plan_only(Call& call, AppsEdit edit, bool force);

/// The deployment in a command of plan_only(); an empty one for none.
wire::Deployment deployment_in(const wire::Command& command);

/// What `json` makes of an app: over what is there with `partial`, else anew. `id` is the app's where it is
/// known.
marathon::Checked<wire::AppDefinition> defined_by(const AppsModel& model, const std::string& id,
                                                  const core::Json& json, const marathon::AppContext& context,
                                                  bool partial);

/// A UUID, version 4, not guessable.
std::string new_uuid();

}  // namespace smackd::services
