// Bodies of the API: what is taken as a row passes the state's own names, and reads back as the same row.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/assert.h"
#include "services/api/command_json.h"
#include "services/api/row_json.h"

using namespace smackd;
using core::Json;

namespace {

/// `parse` takes (name, body). The JSON of a row, given back, is the row.
template <class Parse>
void check(const Json& body, std::string_view name_field, Parse parse) {
    const std::string name = body[name_field].as_string();
    const auto row = parse(name, body);
    if (!row) {
        SMACK_ASSERT(row.error().code == core::Errc::kInvalid && !row.error().message.empty());
        return;
    }
    SMACK_ASSERT(!name.empty() && name.size() <= 253);
    const Json shown = services::to_json(*row);
    const auto again = parse(name, shown);
    SMACK_ASSERT(again && services::to_json(*again) == shown);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto body = Json::parse({reinterpret_cast<const char*>(data), size});
    if (!body) return 0;
    check(*body, "name",
          [](std::string_view name, const Json& json) { return services::user_from_json(name, json); });
    check(*body, "name",
          [](std::string_view name, const Json& json) { return services::group_from_json(name, json); });
    check(*body, "id",
          [](std::string_view id, const Json& json) { return services::rule_from_json(id, json); });
    check(*body, "name",
          [](std::string_view name, const Json& json) { return services::machine_from_json(name, json); });
    check(*body, "sid", [](std::string_view sid, const Json& json) {
        return services::directory_group_from_json(sid, json);
    });
    return 0;
}
