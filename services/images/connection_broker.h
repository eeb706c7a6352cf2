// How the fetching child gets connections: it names host and port, its parent answers with a socket or a
// reason.
#pragma once

#include <string>

#include "core/result.h"
#include "services/images/address_rules.h"
#include "services/images/file_descriptor.h"

namespace smackd::services::images {

inline constexpr size_t kBrokerMessageBytesMax = 1024;

/// Parent: answers one request waiting on `socket` (SOCK_SEQPACKET). Blocks for the time of resolving and
/// connecting, at most about a minute. False when the child has closed its end.
core::Result<bool> answer_connection_request(int socket, const AddressRules& rules);

/// Child: asks for a connection and waits for it.
core::Result<FileDescriptor> request_connection(int socket, const std::string& host, uint16_t port);

}  // namespace smackd::services::images
