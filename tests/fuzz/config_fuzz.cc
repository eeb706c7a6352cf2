// The configuration file: what is taken obeys every key's rule, what is not is answered with a line.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "cmd/smackd/config.h"
#include "core/assert.h"

using namespace smackd;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    cmd::Config config;
    const auto read = cmd::read_config({reinterpret_cast<const char*>(data), size}, "x.toml", config);
    if (!read) {
        SMACK_ASSERT(read.error().code == core::Errc::kInvalid &&
                     read.error().message.starts_with("x.toml line "));
    }
    // Also when a later key is refused, what was set before is sound.
    SMACK_ASSERT(config.data_dir.starts_with('/') && config.keytab.starts_with('/'));
    SMACK_ASSERT(config.log_file.empty() || config.log_file.starts_with('/'));
    SMACK_ASSERT(config.token_life_s >= 1 && config.token_life_s <= auth::kTokenLifeSecondsMax);
    for (const std::string& address : {config.api_address, config.cluster_address, config.kdc_address}) {
        SMACK_ASSERT(cmd::port_of(address) != 0 && !cmd::host_of(address).empty());
    }
    return 0;
}
