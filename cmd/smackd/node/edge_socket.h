// The Unix socket by which a daemon finds the edge that serves.
#pragma once

#include <sys/un.h>

#include <string>

#include "core/result.h"

namespace smackd::cmd {

/// kInvalid when it is longer than a socket's path may be (107 bytes).
core::Result<sockaddr_un> edge_address(const std::string& path);
/// A stream socket, closed on exec; the caller's.
core::Result<int> make_edge_socket();
/// Connected to the edge at `path`; the caller's. An errno's error when none listens.
core::Result<int> connect_to_edge(const std::string& path);

}  // namespace smackd::cmd
