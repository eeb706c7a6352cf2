// Which handler answers a method and path.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "net/http/message.h"
#include "net/task.h"

namespace smackd::services {

struct Call;

/// Who may come to a handler at all; what they may do there is the handler's question to the policy.
enum class Access : uint8_t {
    kAnonymous,  ///< no identity is looked for
    kUser,       ///< a user of this cluster, not disabled
    kTask,       ///< such a user, or a task that runs
};

/// For metrics: requests of one kind share their counters.
enum class RequestClass : uint8_t { kHealth, kStatic, kSignIn, kRead, kWrite, kEvents };

/// How a route says what went wrong.
enum class ErrorForm : uint8_t {
    kSmack,     ///< {"error": {"code", "message"}}
    kMarathon,  ///< {"message"}
};

using Handler = net::Task<core::Result<net::http::Response>> (*)(Call& call);

struct Route {
    std::string_view method;
    /// "/smack/v1/users/{name}": a part in braces takes one non-empty component; "{id...}" one or more,
    /// slashes and all, the fewest that let the rest fit.
    std::string_view pattern;
    Access access = Access::kUser;
    RequestClass request_class = RequestClass::kRead;
    Handler handler = nullptr;
    ErrorForm errors = ErrorForm::kSmack;
};

/// A route with what its braces took, in order.
struct RouteMatch {
    const Route* route = nullptr;  ///< nullptr: no such path, or not by this method
    std::vector<std::string> arguments;
    std::string allow;  ///< for 405: the methods the path has; empty: no such path
};

/// A table of routes; literal parts win over braces only by standing earlier in the table.
class Router {
 public:
    /// `routes` outlive the router.
    explicit Router(std::span<const Route> routes) : routes_(routes) {}
    /// HEAD is answered by GET's route.
    RouteMatch match(std::string_view method, std::string_view path) const;

 private:
    std::span<const Route> routes_;
};

}  // namespace smackd::services
