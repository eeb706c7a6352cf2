// Protobuf bytes that are the same on every server: maps are written in key order.
#pragma once

#include "core/bytes.h"

namespace google::protobuf {
class MessageLite;
}

namespace smackd::wire {

/// Keeps the library from writing a line to standard error for each message of bad input, which anybody who
/// may send one could fill a disk with; parsing says the same by its result. Once, before any thread.
void silence_library();

core::Bytes serialize(const google::protobuf::MessageLite& message);

}  // namespace smackd::wire
