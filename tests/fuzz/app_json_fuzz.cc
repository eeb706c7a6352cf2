// Marathon's application JSON: what is accepted passes the rules, prints as JSON that reads as the same
// definition, and can be updated and routed. The first line is a definition, what follows an update of it.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/apps/pattern.h"
#include "core/apps/routes.h"
#include "core/apps/service_ports.h"
#include "core/assert.h"
#include "core/marathon/app_json.h"
#include "core/wire/serialize.h"

using namespace smackd;

namespace {

void check_problem(const marathon::Problem& problem) {
    SMACK_ASSERT(problem.status == 400 || problem.status == 422);
    SMACK_ASSERT(!problem.details.empty() || !problem.detail_text.empty());
    SMACK_ASSERT(core::Json::parse(problem.json().dump()));
}

void check_app(const wire::AppDefinition& app) {
    SMACK_ASSERT(marathon::check_app(app));
    const core::Json printed = marathon::app_to_json(app);
    const auto text = core::Json::parse(printed.dump());
    SMACK_ASSERT(text);
    const auto again = marathon::app_from_json(*text, {});
    SMACK_ASSERT(again && wire::serialize(*again) == wire::serialize(app));
    const auto updated = marathon::updated_app(app, *text, {});
    SMACK_ASSERT(updated && wire::serialize(*updated) == wire::serialize(app));

    wire::AppDefinition numbered = app;
    SMACK_ASSERT(apps::assign_service_ports(numbered, nullptr, {{10000, "/other"}}));
    SMACK_ASSERT(apps::routes_of(numbered).errors.empty());
    for (const wire::Constraint& constraint : app.constraints()) {
        if (constraint.op() != wire::Constraint::LIKE && constraint.op() != wire::Constraint::UNLIKE)
            continue;
        const auto pattern = apps::Pattern::compile(constraint.value());
        SMACK_ASSERT(pattern);
        (void)pattern->matches(app.id());
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const size_t end = text.find('\n');
    const auto body = marathon::parse_body(text.substr(0, end));
    if (!body) {
        check_problem(body.error());
        return 0;
    }
    const auto app = marathon::app_from_json(*body, {});
    if (!app) {
        check_problem(app.error());
        return 0;
    }
    check_app(*app);
    if (end == std::string_view::npos) return 0;
    const auto update = marathon::parse_body(text.substr(end + 1));
    if (!update) return 0;
    (void)marathon::rollback_of(*update);
    const auto updated = marathon::updated_app(*app, *update, {});
    if (updated) {
        SMACK_ASSERT(updated->id() == app->id());
        check_app(*updated);
    } else {
        check_problem(updated.error());
    }
    return 0;
}
