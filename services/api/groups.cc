// /smack/v1/groups
#include "services/api/command_json.h"
#include "services/api/resource.h"

namespace smackd::services {
namespace {

struct Groups {
    using Put = wire::PutGroup;
    static constexpr std::string_view kKind = "group";
    static constexpr std::string_view kCollection = "groups";
    static auto all(View& view) { return view.groups(); }
    static auto one(View& view, const std::string& key) { return view.group(key); }
    static const std::string& key(const Put& row) { return row.name(); }
    static auto from_json(std::string_view key, const core::Json& body) { return group_from_json(key, body); }
    static void put(wire::Command& command, Put row) {
        *command.add_changes()->mutable_put_group() = std::move(row);
    }
    static void remove(wire::Command& command, const std::string& key) {
        command.add_changes()->mutable_remove_group()->set_name(key);
    }
};

}  // namespace

namespace handlers {

Answer list_groups(Call& call) {
    return list_rows<Groups>(call);
}
Answer show_group(Call& call) {
    return show_row<Groups>(call);
}
Answer create_group(Call& call) {
    return create_row<Groups>(call, "name");
}
Answer put_group(Call& call) {
    return put_row<Groups>(call);
}
Answer remove_group(Call& call) {
    return remove_row<Groups>(call);
}

}  // namespace handlers
}  // namespace smackd::services
