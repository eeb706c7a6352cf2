// Keytab files as somebody may hand them in.
#include <cstddef>
#include <cstdint>

#include "auth/keytab.h"
#include "core/assert.h"

using namespace smackd;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto parsed = auth::Keytab::parse({reinterpret_cast<const char*>(data), size});
    if (!parsed) return 0;
    (void)parsed->describe();
    const auto bytes = parsed->serialize();
    if (!bytes) return 0;  // escaped names may come out longer than the limit
    const auto again = auth::Keytab::parse(*bytes);
    SMACK_ASSERT(again && again->entries() == parsed->entries());
    return 0;
}
