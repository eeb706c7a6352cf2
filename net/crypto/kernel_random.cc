#include "net/crypto/kernel_random.h"

#include "net/crypto/random.h"

namespace smackd::net::crypto {
namespace {

constexpr size_t kPoolBytes = 512;  // one system call for 64 numbers

}  // namespace

uint64_t KernelRandom::next() {
    if (pool_.empty()) pool_ = random_bytes(kPoolBytes);
    const uint64_t number = core::get_u64(pool_.data() + pool_.size() - 8);
    pool_.resize(pool_.size() - 8);
    return number;
}

}  // namespace smackd::net::crypto
