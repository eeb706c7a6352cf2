#include "net/crypto/random.h"

#include "net/crypto/mbed.h"

namespace smackd::net::crypto {

core::Bytes random_bytes(size_t count) {
    core::Bytes bytes(count, '\0');
    kernel_random(nullptr, raw(bytes), count);
    return bytes;
}

}  // namespace smackd::net::crypto
