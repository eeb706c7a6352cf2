// Marathon's apps: none yet, in the form its clients read.
#include "services/api/handlers.h"
#include "services/api/reply.h"

namespace smackd::services::handlers {

Answer list_apps(Call& call) {
    CO_TRY(call.view->policy.authorize_somewhere(call.subject(), core::Action::kView));
    co_return json_reply(200, core::Json::object().set("apps", core::Json::array()));
}

}  // namespace smackd::services::handlers
