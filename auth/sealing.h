// Secrets at rest: the cluster key seals named values; each server seals the cluster key; a recovery key
// wraps it.
//
// AES-256-GCM with a random 96-bit nonce; the name of the value is authenticated, so sealed values cannot be
// swapped.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/bytes.h"
#include "core/result.h"

namespace smackd::auth {

inline constexpr size_t kSealKeyBytes = 32;
inline constexpr size_t kSealedValueBytesMax = 1024 * 1024;

/// A 256-bit key; wiped on destruction. Copies are as secret as the original.
class SealKey {
 public:
    static SealKey random();
    /// kInvalid unless `bytes` are kSealKeyBytes long.
    static core::Result<SealKey> from_bytes(core::BytesView bytes);
    SealKey(const SealKey&) = default;
    SealKey& operator=(const SealKey&) = default;
    SealKey(SealKey&&) noexcept = default;
    SealKey& operator=(SealKey&&) noexcept = default;
    ~SealKey();

    /// "version 1, nonce, ciphertext, tag". `name` is bound to it, e.g. "realm/master".
    core::Result<core::Bytes> seal(std::string_view name, core::BytesView plain) const;
    /// kCorrupt when the bytes, the name or the key differ from those of seal().
    core::Result<core::Bytes> open(std::string_view name, core::BytesView sealed) const;

    core::BytesView bytes() const { return bytes_; }

 private:
    explicit SealKey(core::Bytes bytes) : bytes_(std::move(bytes)) {}
    core::Bytes bytes_;
};

/// This server's own key: a file of mode 0600 that never leaves the machine. Made when absent.
core::Result<SealKey> load_or_create_server_key(const std::string& path);

/// The cluster key as a file sealed under the server's key.
core::Result<void> write_cluster_key(const std::string& path, const SealKey& server, const SealKey& cluster);
core::Result<SealKey> read_cluster_key(const std::string& path, const SealKey& server);

/// The recovery key: shown once, kept by people; base32 in groups of four with a checksum.
struct RecoveryKey {
    SealKey key;

    static RecoveryKey random();
    /// "7K3M-..." (14 groups).
    std::string to_text() const;
    /// Accepts lower case, missing dashes, O for 0, I and L for 1. kInvalid tells a typing error from a short
    /// text.
    static core::Result<RecoveryKey> from_text(std::string_view text);
    /// The cluster key wrapped for storage in the state.
    core::Result<core::Bytes> wrap(const SealKey& cluster) const;
    /// kDenied when `wrapped` was made with another recovery key.
    core::Result<SealKey> unwrap(core::BytesView wrapped) const;
};

/// Overwrites the bytes of a secret before it is freed.
void wipe(std::string& secret);

}  // namespace smackd::auth
