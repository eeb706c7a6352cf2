// What a KDC says of a user inside a ticket (KERB_VALIDATION_INFO).
#include <cstddef>
#include <cstdint>

#include "auth/logon_info.h"
#include "core/assert.h"
#include "core/sid.h"

using namespace smackd;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    // A copy of its own length: ASan sees a read past the end.
    const std::string bytes(reinterpret_cast<const char*>(data), size);
    const auto parsed = auth::parse_logon_info(bytes);
    if (!parsed) {
        SMACK_ASSERT(parsed.error().code == core::Errc::kInvalid && !parsed.error().message.empty());
        return 0;
    }
    SMACK_ASSERT(!parsed->group_sids.empty() && parsed->group_sids.size() <= 3 * auth::kLogonGroupsMax + 1);
    for (size_t i = 0; i < parsed->group_sids.size(); i++) {
        SMACK_ASSERT(parsed->group_sids[i].starts_with("S-1-"));
        SMACK_ASSERT(i == 0 || parsed->group_sids[i - 1] < parsed->group_sids[i]);
    }
    return 0;
}
