// /smack/v1/tasks/{id}/log/{stream} and /smack/v1/dns: what tasks wrote, and names that are answered besides
// theirs.
#include <algorithm>

#include "core/marathon/path_id.h"
#include "core/names.h"
#include "core/utf8.h"
#include "net/address.h"
#include "net/scope.h"
#include "services/api/conditions.h"
#include "services/api/handlers.h"
#include "services/api/reply.h"
#include "services/api/settings.h"
#include "services/apps/tenant_rows.h"

namespace smackd::services::handlers {

using core::Action;
using core::Errc;
using core::Json;

namespace {

constexpr int64_t kLogBytesDefault = 64 * 1024;
constexpr int kLogWaits = 50;                // ten seconds
constexpr core::milliseconds kLogLook{200};  // a file tells nobody that it grew
constexpr size_t kAddressesMax = 16;

bool has_ended(const AppsModel& model, const std::string& task) {
    const auto found = model.tasks.find(task);
    return found == model.tasks.end() || apps::has_ended(found->second.put);
}

}  // namespace

Answer task_log(Call& call) {
    const std::string& task = call.argument(0);
    CO_TRY_ASSIGN(const std::string app, marathon::app_of_task(task));
    // Of its tenant's logs a task has its own alone, unless a rule says more.
    const bool own = call.subject().is_task() && call.caller->proof.identity.name == task;
    if (!own) CO_TRY(call.require_by_rule(Action::kView, app));
    const std::string& name = call.argument(1);
    if (name != "stdout" && name != "stderr")
        co_return core::fail(Errc::kNotFound, "log '{}': must be stdout or stderr", name.substr(0, 64));
    const auto stream = name == "stdout" ? agent::LogStream::kStdout : agent::LogStream::kStderr;
    CO_TRY_ASSIGN(const int64_t offset, query_integer(call.request, "offset", 0, 0, INT64_MAX));
    CO_TRY_ASSIGN(const int64_t length, query_integer(call.request, "length", kLogBytesDefault, 1,
                                                      static_cast<int64_t>(agent::kLogReadBytesMax)));
    const bool wait = call.request.query("wait") == "true";
    ApiEnvironment& environment = call.api.environment;
    if (environment.tasks == nullptr) co_return core::fail(Errc::kUnavailable, "this node runs no tasks");
    agent::LogPiece piece;
    bool ended = false;
    for (int looked = 0;; ++looked) {
        CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
        ended = has_ended(*model, task);
        CO_TRY_ASSIGN(piece, co_await environment.tasks->read_log(environment.loop, task, stream,
                                                                  static_cast<uint64_t>(offset),
                                                                  static_cast<size_t>(length)));
        if (!wait || ended || !piece.bytes.empty() || looked == kLogWaits) break;
        CO_TRY(co_await net::sleep(environment.loop, kLogLook));
    }
    Json json;
    json.set("offset", piece.offset).set("next", piece.offset + piece.bytes.size()).set("end", piece.end);
    json.set("ended", ended).set("text", std::move(piece.bytes));
    co_return json_reply(200, json);
}

Answer list_dns(Call& call) {
    CO_TRY(call.require_some_rule(Action::kView));
    CO_TRY(co_await await_freshness(call));
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    Json names = Json::array();
    for (const auto& [name, addresses] : model->names) {
        if (is_tenant_key(name) || !call.sees("setting", std::string(kNameSettingPrefix) + name)) continue;
        Json list = Json::array();
        for (const std::string& address : addresses) list.push(address);
        names.push(Json::object().set("name", name).set("addresses", std::move(list)));
    }
    co_return json_reply(200, Json::object().set("names", std::move(names)));
}

Answer put_dns(Call& call) {
    CO_TRY(call.require(Action::kAdmin));
    const std::string& name = call.argument();
    CO_TRY(core::check_machine_name(name));
    CO_TRY_ASSIGN(const Json body, co_await read_body(call));
    const Json::Array& addresses = body["addresses"].as_array();
    if (addresses.empty() || addresses.size() > kAddressesMax)
        co_return core::fail(Errc::kInvalid, "addresses: must be 1 to {} IP addresses", kAddressesMax);
    std::string value;
    for (const Json& address : addresses) {
        const bool six = address.as_string().contains(':');
        auto parsed =
            net::Address::parse(six ? "[" + address.as_string() + "]:1" : address.as_string() + ":1");
        if (!parsed)
            co_return core::fail(Errc::kInvalid, "addresses '{}': must be IP addresses",
                                 address.as_string().substr(0, 64));
        value += (value.empty() ? "" : ",") + address.as_string();
    }
    co_return co_await put_setting(call, std::string(kNameSettingPrefix) + name, std::move(value));
}

Answer remove_dns(Call& call) {
    CO_TRY(call.require(Action::kAdmin));
    const std::string name = call.argument();
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    if (!model->names.contains(name))
        co_return core::fail(Errc::kNotFound, "no name '{}'", name.substr(0, 64));
    co_return co_await put_setting(call, std::string(kNameSettingPrefix) + name, "");  // no addresses: gone
}

}  // namespace smackd::services::handlers
