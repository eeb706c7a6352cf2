// One question by UDP and its answer, for a process that has nothing else to do.
#pragma once

#include "core/bytes.h"
#include "core/result.h"
#include "core/units.h"
#include "net/address.h"

namespace smackd::cmd {

/// Sends twice, half of `limit` apart. kUnavailable when the other side says that nobody listens, kTimeout.
core::Result<core::Bytes> ask_by_datagram(const net::Address& to, core::BytesView question,
                                          core::Duration limit);

}  // namespace smackd::cmd
