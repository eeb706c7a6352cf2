// A join bundle from a pipe or file, and seeds as typed: what is taken can be dialled and names a member.
#include <cstddef>
#include <cstdint>

#include "auth/identity.h"
#include "cmd/smackd/config.h"
#include "cmd/smackd/join_bundle.h"
#include "core/assert.h"
#include "core/names.h"

using namespace smackd;

namespace {

void check_seeds(const std::vector<cmd::JoinSeed>& seeds) {
    SMACK_ASSERT(!seeds.empty() && seeds.size() <= cmd::kJoinSeedsMax);
    for (const cmd::JoinSeed& seed : seeds) {
        SMACK_ASSERT(cmd::check_address("seed", seed.address) && cmd::port_of(seed.address) != 0);
        SMACK_ASSERT(!cmd::host_of(seed.address).empty() && auth::Principal::parse(seed.principal));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    if (const auto bundle = cmd::parse_bundle(text)) {
        check_seeds(bundle->seeds);
        SMACK_ASSERT(core::check_machine_name(bundle->machine) && core::check_realm_name(bundle->realm));
        SMACK_ASSERT(!bundle->keytab.empty() && bundle->kdcs.size() <= cmd::kJoinKdcsMax);
        for (const std::string& kdc : bundle->kdcs) SMACK_ASSERT(cmd::check_address("kdc", kdc));
    } else {
        SMACK_ASSERT(bundle.error().code == core::Errc::kInvalid && !bundle.error().message.empty());
    }
    if (const auto seeds = cmd::parse_seeds({text}, "", "EXAMPLE.COM")) check_seeds(*seeds);
    if (const auto seeds = cmd::parse_seeds({text}, "n1", "EXAMPLE.COM")) check_seeds(*seeds);
    return 0;
}
