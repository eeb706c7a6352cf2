// Hasher: a cryptographic hash as a parameter, for layers that have none of their own. The real one is
// net/crypto/sha256.
#pragma once

#include <memory>

#include "core/bytes.h"

namespace smackd::core {

class Hasher {
 public:
    virtual ~Hasher() = default;
    virtual void update(BytesView bytes) = 0;
    /// The digest of all that was given; nothing may be called after it.
    virtual Bytes finish() = 0;
};

using NewHasher = std::unique_ptr<Hasher> (*)();

}  // namespace smackd::core
