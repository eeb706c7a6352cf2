// ImageConfig: what an image says about how it is run (OCI image-spec config.md, Docker image v1.2).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/images/digest.h"
#include "core/result.h"

namespace smackd::core::images {

inline constexpr size_t kConfigStringsMax = 4096;  ///< of one list: entrypoint, cmd, env, ports, volumes
inline constexpr size_t kConfigStringBytesMax = 131072;  ///< of one string: what execve takes

struct ExposedPort {
    uint16_t port = 0;
    std::string protocol = "tcp";  ///< "tcp", "udp" or "sctp"
    bool operator==(const ExposedPort&) const = default;
};

struct ImageConfig {
    std::vector<std::string> entrypoint;   ///< before cmd or the task's args
    std::vector<std::string> cmd;          ///< when the task gives no args
    std::vector<std::string> environment;  ///< "NAME=value", in order
    std::string user;               ///< "", "1000", "1000:1000", "name", "name:group"; names are of the image
    std::string working_directory;  ///< absolute, without "." and ".."; "/" when the image has none
    std::vector<ExposedPort> exposed_ports;  ///< by port, then protocol
    std::vector<std::string> volumes;        ///< paths the image wants writable; informative
    std::string stop_signal;                 ///< "SIGTERM", "15"; empty: none given
    std::string os;
    std::string architecture;
    std::vector<Digest> diff_ids;  ///< of each layer's plain tar, lowest first
};

/// Reads a config blob. kInvalid names the field and the rule; what is unknown is ignored.
Result<ImageConfig> parse_image_config(std::string_view text);

}  // namespace smackd::core::images
