// Frames of the join protocol on a stream: a 4-byte little-endian length, then one wire.JoinFrame.
#pragma once

#include "core/result.h"
#include "core/wire/join.pb.h"
#include "net/stream.h"

namespace smackd::auth {

inline constexpr std::string_view kJoinAlpn = "smack-join/1";
inline constexpr uint32_t kJoinProtocol = 1;
/// What is read from somebody who has proved nothing: a ticket with a large PAC fits.
inline constexpr size_t kJoinTokenFrameBytesMax = 96 * 1024;
inline constexpr size_t kJoinAnswerFrameBytesMax = 1024 * 1024;
inline constexpr size_t kJoinNonceBytes = 16;
/// Clocks of a machine and a member may differ by this much, as Kerberos has it.
inline constexpr int64_t kJoinSkewMs = 5 * 60 * 1000;

/// The bytes after the length. kInvalid when they are no JoinFrame, or one of a kind that is not known.
core::Result<wire::JoinFrame> parse_join_frame(core::BytesView body);

/// kUnavailable when the peer went away, kInvalid for a frame that is too long or none.
net::Task<core::Result<wire::JoinFrame>> read_join_frame(net::Stream& stream, size_t bytes_max);
net::Task<core::Result<void>> write_join_frame(net::Stream& stream, wire::JoinFrame frame);

}  // namespace smackd::auth
