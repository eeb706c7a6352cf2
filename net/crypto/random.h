// Secret randomness, from the kernel's getrandom(2). Never replaced in tests or simulation: keys come from
// here.
#pragma once

#include "core/bytes.h"

namespace smackd::net::crypto {

/// `count` unpredictable bytes. Aborts when the kernel has none: nothing could be done safely then.
core::Bytes random_bytes(size_t count);

}  // namespace smackd::net::crypto
