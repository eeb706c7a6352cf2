// JSON from clients: what is taken obeys the limits, has no member twice, and comes back from its own text.
#include <cstddef>
#include <cstdint>
#include <set>
#include <string_view>

#include "core/assert.h"
#include "core/json.h"
#include "core/utf8.h"

using namespace smackd;

namespace {

void check(const core::Json& json, size_t depth) {
    SMACK_ASSERT(depth <= core::kJsonDepthMax);
    if (json.is_string()) SMACK_ASSERT(core::is_utf8(json.as_string()));
    for (const core::Json& element : json.as_array()) check(element, depth + 1);
    std::set<std::string_view> names;
    for (const auto& [name, member] : json.as_object()) {
        SMACK_ASSERT(names.insert(name).second);
        check(member, depth + 1);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto json = core::Json::parse({reinterpret_cast<const char*>(data), size});
    if (!json) {
        SMACK_ASSERT(json.error().code == core::Errc::kInvalid);
        return 0;
    }
    check(*json, 0);
    const auto again = core::Json::parse(json->dump());
    SMACK_ASSERT(again && again->dump() == json->dump());
    const auto pretty = core::Json::parse(json->dump_pretty());
    SMACK_ASSERT(pretty && *pretty == *again);
    return 0;
}
