// gzip (RFC 1952) of a whole text: what every machine can open.
#pragma once

#include "core/bytes.h"

namespace smackd::core {

/// One member; at most 4 GiB.
Bytes gzip(BytesView plain);

}  // namespace smackd::core
