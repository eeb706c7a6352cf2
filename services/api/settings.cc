#include "services/api/settings.h"

namespace smackd::services {

void add_setting(wire::Command& command, std::string name, std::string value) {
    auto* setting = command.add_changes()->mutable_put_setting();
    setting->set_name(std::move(name));
    setting->set_value(std::move(value));
}

handlers::Answer put_setting(Call& call, std::string name, std::string value) {
    wire::Command command = make_command(call);
    add_setting(command, name, std::move(value));
    CO_TRY_ASSIGN(const core::Revision revision,
                  co_await change(call, std::move(command), {.kind = "setting", .key = std::move(name)}));
    co_return changed_reply(200, revision);
}

}  // namespace smackd::services
