// Protobuf bytes that are the same on every server: maps are written in key order.
#pragma once

#include "core/bytes.h"

namespace google::protobuf {
class MessageLite;
}

namespace smackd::wire {

core::Bytes serialize(const google::protobuf::MessageLite& message);

}  // namespace smackd::wire
