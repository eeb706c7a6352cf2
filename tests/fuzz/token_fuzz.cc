// Bearer tokens as a client may send them.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "auth/token.h"
#include "core/assert.h"
#include "core/bytes.h"
#include "core/json.h"

using namespace smackd;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto parsed = auth::parse_token(text);
    if (!parsed) return 0;
    SMACK_ASSERT(text.size() <= auth::kTokenBytesMax);
    SMACK_ASSERT(text.starts_with(parsed->signed_part) && text[parsed->signed_part.size()] == '.');
    SMACK_ASSERT(parsed->signature.size() == 64);
    SMACK_ASSERT(!parsed->kid.empty() && !parsed->claims.subject.empty());
    SMACK_ASSERT(parsed->claims.expires_s > parsed->claims.issued_at_s);
    // Read again by other means: what was taken must be what stands there.
    const auto header = core::Json::parse(*core::from_base64url(text.substr(0, text.find('.'))));
    SMACK_ASSERT(header && (*header)["alg"].as_string() == "ES256" && header->as_object().size() == 3);
    return 0;
}
