// /smack/v1/realm
#include "services/api/handlers.h"
#include "services/api/principals.h"
#include "services/api/resource.h"
#include "services/api/servers.h"

namespace smackd::services::handlers {

using core::Json;
using core::Result;

Answer realm(Call& call) {
    const wire::InitCluster& cluster = call.view->cluster;
    CO_TRY_ASSIGN(const auto servers, co_await read<std::vector<wire::PutNode>>(call, &read_servers));
    Json kdcs = Json::array();
    for (std::string& kdc : kdcs_of(call, servers)) kdcs.push(std::move(kdc));
    Json json;
    json.set("realm", cluster.realm()).set("embedded", cluster.embedded_realm()).set("kdcs", std::move(kdcs));
    json.set("cluster_name", cluster.cluster_name()).set("cluster_id", cluster.cluster_id());
    co_return json_reply(200, json);
}

Answer list_principals(Call& call) {
    CO_TRY(call.require(core::Action::kAdmin));
    CO_TRY(require_embedded_realm(call, "list its principals there"));
    CO_TRY(co_await await_freshness(call));
    using Read = ReadAt<std::vector<std::pair<std::string, uint64_t>>>;
    auto found = co_await read<Read>(call, [](View& view) -> Result<Read> {
        Read result;
        result.revision = view.point().revision;
        TRY_ASSIGN(result.value, view.principals());
        return result;
    });
    if (!found) co_return core::pass(std::move(found));
    Json names = Json::array();
    for (const auto& [name, version] : found->value) names.push(name);
    co_return read_reply(call, found->revision, Json::object().set("principals", std::move(names)));
}

}  // namespace smackd::services::handlers
