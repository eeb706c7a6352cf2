// Sha256: SHA-256 (FIPS 180-4) of what comes in pieces.
#pragma once

#include <memory>

#include "core/hasher.h"

namespace smackd::net::crypto {

class Sha256 final : public core::Hasher {
 public:
    Sha256();
    ~Sha256() override;
    Sha256(const Sha256&) = delete;
    Sha256& operator=(const Sha256&) = delete;

    void update(core::BytesView bytes) override;
    /// 32 bytes.
    core::Bytes finish() override;

 private:
    struct State;
    std::unique_ptr<State> state_;
};

/// For core::NewHasher.
std::unique_ptr<core::Hasher> new_sha256();

}  // namespace smackd::net::crypto
