// One request on its way through a handler, and what handlers do in the same way.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/wire/command.pb.h"
#include "net/http/message.h"
#include "net/http/server.h"
#include "net/task.h"
#include "services/api/context.h"
#include "services/api/sign_in.h"

namespace smackd::services {

inline constexpr size_t kBodyBytesMax = 256 * 1024;  ///< of a JSON body: what a command may weigh

/// A task whose socket a request came through, as the node that relays it says.
struct TaskPeer {
    core::NodeId node;
    std::string task;
};

/// Lives in the frame of Api::handle, longer than the handler's task.
struct Call {
    ApiContext& api;
    net::http::Request& request;
    net::http::ConnectionInfo& connection;
    std::vector<std::string> arguments;     ///< what the route's braces took
    std::shared_ptr<const StateView> view;  ///< the policy the call is decided by
    std::optional<Caller> caller;           ///< set unless the route is anonymous
    core::Bytes body;                       ///< as read by read_body
    core::Bytes reply_token;                ///< of an accepted ticket: proves us to the client
    core::Bytes refusal_token;              ///< of a refused ticket: tells the client why
    bool no_negotiate = false;              ///< a 401 must not make a browser try its ticket by itself
    std::optional<TaskPeer> task{};         ///< speaks for itself: no other proof is looked for

    const std::string& argument(size_t index = 0) const { return arguments.at(index); }
    const core::Subject& subject() const { return caller->subject; }
    const std::string& principal() const { return caller->principal(); }

    /// kDenied names the missing rule.
    core::Result<void> require(core::Action action) const {
        return view->policy.authorize(subject(), {.action = action, .tenant = "*", .path = "/"});
    }
    /// The same on an app or group.
    core::Result<void> require(core::Action action, const std::string& path) const {
        return view->policy.authorize(subject(), {.action = action, .tenant = "*", .path = path});
    }
    /// The same by the rules alone, whatever a task may for being one.
    core::Result<void> require_by_rule(core::Action action, const std::string& path) const {
        return view->policy.authorize(subject().by_rules(), {.action = action, .tenant = "*", .path = path});
    }
    /// Some rule must grant it somewhere: for what is about the cluster.
    core::Result<void> require_some_rule(core::Action action) const {
        return view->policy.authorize_somewhere(subject().by_rules(), action);
    }
    bool may(core::Action action, const std::string& path) const {
        return view->policy.may(subject(), {.action = action, .tenant = "*", .path = path});
    }
    bool is_admin() const { return view->policy.may(subject(), {.action = core::Action::kAdmin}); }
    bool sees(std::string_view kind, std::string_view key) const {
        return view->policy.sees(subject(), kind, key);
    }
};

/// The JSON object in the body; an empty object for no body. kInvalid for another content type, too many
/// bytes or no object. The text stays in call.body, for Idempotency-Key.
net::Task<core::Result<core::Json>> read_body(Call& call);

/// The body's bytes, also in call.body: JSON by its content type, not looked at further. kInvalid for another
/// content type or too many bytes.
net::Task<core::Result<void>> read_json_text(Call& call);

/// Waits until this server's state is as fresh as ?min_revision and ?consistent ask. kTimeout says which
/// revision was reached.
net::Task<core::Result<void>> await_freshness(Call& call);

/// Waits until everything acknowledged so far is applied here; kTimeout after `limit`.
net::Task<core::Result<void>> reach_leader(Call& call, core::Duration limit);

/// Runs `query` on a worker over the committed state.
template <class T>
net::Task<core::Result<T>> read(Call& call, core::Callback<core::Result<T>(View&)> query) {
    return call.api.readers.view<T>(std::move(query));
}

/// A command by the caller with `change` in it; handlers add to it.
wire::Command make_command(const Call& call);

/// Adds the caller's conditions on the row, proposes, and turns a refusal by apply into its Error. `kind` and
/// `key` name the row that If-Match speaks of; `create` demands that there is none.
struct Target {
    std::string_view kind;
    std::string key;
    bool create = false;
};
net::Task<core::Result<core::Revision>> change(Call& call, wire::Command command, Target target);

/// {"revision": "3.42", ...more} with the revision as header and ETag.
net::http::Response changed_reply(int status, core::Revision revision,
                                  core::Json more = core::Json::object());

/// A list or object read at `revision`, with X-Smack-Revision, X-Smack-Applied-Index and
/// X-Smack-Leader-Contact-Ms.
net::http::Response read_reply(const Call& call, core::Revision revision, core::Json body);

}  // namespace smackd::services
