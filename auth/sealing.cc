#include "auth/sealing.h"

#include <cstring>

#include "auth/secret_file.h"
#include "net/crypto/aead.h"
#include "net/crypto/hash.h"
#include "net/crypto/random.h"

namespace smackd::auth {
namespace {

namespace crypto = net::crypto;
using core::Bytes;
using core::BytesView;
using core::Errc;
using core::fail;
using core::Result;

constexpr char kSealVersion = 1;
constexpr std::string_view kClusterKeyName = "cluster-key";
constexpr std::string_view kRecoveryName = "recovery/cluster-key";

constexpr std::string_view kCrockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr size_t kChecksumBytes = 3;
constexpr size_t kRecoveryCharacters = (kSealKeyBytes + kChecksumBytes) * 8 / 5;
static_assert((kSealKeyBytes + kChecksumBytes) * 8 % 5 == 0);

// The version is authenticated with the name, so that an old format cannot be passed off as a new one.
Bytes associated(std::string_view name) {
    return Bytes(1, kSealVersion).append(name);
}

Bytes with_checksum(BytesView key) {
    Bytes out(key);
    return out.append(crypto::sha256(key).substr(0, kChecksumBytes));
}

int crockford_value(char c) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (c == 'O') c = '0';
    if (c == 'I' || c == 'L') c = '1';
    const size_t at = kCrockford.find(c);
    return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

}  // namespace

void wipe(std::string& secret) {
    explicit_bzero(secret.data(), secret.size());
    secret.clear();
}

SealKey SealKey::random() {
    return SealKey(crypto::random_bytes(kSealKeyBytes));
}

Result<SealKey> SealKey::from_bytes(BytesView bytes) {
    if (bytes.size() != kSealKeyBytes)
        return fail(Errc::kInvalid, "key: {} bytes, {} are expected", bytes.size(), kSealKeyBytes);
    return SealKey(Bytes(bytes));
}

SealKey::~SealKey() {
    wipe(bytes_);
}

Result<Bytes> SealKey::seal(std::string_view name, BytesView plain) const {
    if (plain.size() > kSealedValueBytesMax) {
        return fail(Errc::kInvalid, "secret {}: longer than {} bytes", name, kSealedValueBytesMax);
    }
    return Bytes(1, kSealVersion).append(crypto::seal(bytes_, plain, associated(name)));
}

Result<Bytes> SealKey::open(std::string_view name, BytesView sealed) const {
    if (sealed.empty() || sealed.front() != kSealVersion) {
        return fail(Errc::kCorrupt, "secret {}: not sealed by this version of smackd", name);
    }
    auto plain = crypto::open(bytes_, sealed.substr(1), associated(name));
    if (!plain) return fail(Errc::kCorrupt, "secret {}: damaged, or sealed under another key or name", name);
    return plain;
}

Result<SealKey> load_or_create_server_key(const std::string& path) {
    auto stored = read_secret_file(path, kSealKeyBytes);
    if (stored) {
        auto key = SealKey::from_bytes(*stored);
        wipe(*stored);
        if (!key) return core::pass(std::move(key), path);
        return key;
    }
    if (stored.error().code != Errc::kNotFound) return core::pass(std::move(stored), "server key");
    SealKey key = SealKey::random();
    TRY(write_secret_file(path, key.bytes()));
    return key;
}

Result<void> write_cluster_key(const std::string& path, const SealKey& server, const SealKey& cluster) {
    TRY_ASSIGN(const Bytes sealed, server.seal(kClusterKeyName, cluster.bytes()));
    return write_secret_file(path, sealed);
}

Result<SealKey> read_cluster_key(const std::string& path, const SealKey& server) {
    TRY_ASSIGN(const Bytes sealed, read_secret_file(path, 4096));
    auto plain = server.open(kClusterKeyName, sealed);
    if (!plain) return core::pass(std::move(plain), path);
    auto key = SealKey::from_bytes(*plain);
    wipe(*plain);
    return key;
}

RecoveryKey RecoveryKey::random() {
    return RecoveryKey{SealKey::random()};
}

std::string RecoveryKey::to_text() const {
    std::string out;
    uint32_t group = 0;
    uint32_t bits = 0;
    size_t written = 0;
    for (const char c : with_checksum(key.bytes())) {
        group = (group << 8U) | static_cast<uint8_t>(c);
        for (bits += 8; bits >= 5; written++) {
            bits -= 5;
            if (written > 0 && written % 4 == 0) out.push_back('-');
            out.push_back(kCrockford[(group >> bits) & 31U]);
        }
    }
    return out;
}

Result<RecoveryKey> RecoveryKey::from_text(std::string_view text) {
    Bytes bytes;
    uint32_t group = 0;
    uint32_t bits = 0;
    size_t count = 0;
    for (const char c : text) {
        if (c == '-' || c == ' ' || c == '\n' || c == '\r' || c == '\t') continue;
        const int value = crockford_value(c);
        if (value < 0)
            return fail(Errc::kInvalid, "recovery key: character {} is none of its alphabet", count + 1);
        if (++count > kRecoveryCharacters) break;
        group = (group << 5U) | static_cast<uint32_t>(value);
        bits += 5;
        if (bits < 8) continue;
        bits -= 8;
        bytes.push_back(static_cast<char>(group >> bits));
    }
    if (count != kRecoveryCharacters) {
        return fail(Errc::kInvalid, "recovery key: {} characters are expected ({} groups of four)",
                    kRecoveryCharacters, kRecoveryCharacters / 4);
    }
    const BytesView key = BytesView(bytes).substr(0, kSealKeyBytes);
    const bool intact = core::equal_constant_time(with_checksum(key), bytes);
    auto made = SealKey::from_bytes(key);
    wipe(bytes);
    if (!intact)
        return fail(Errc::kInvalid, "recovery key: its checksum is wrong, there is a typing error in it");
    if (!made) return core::pass(std::move(made));
    return RecoveryKey{std::move(*made)};
}

Result<Bytes> RecoveryKey::wrap(const SealKey& cluster) const {
    return key.seal(kRecoveryName, cluster.bytes());
}

Result<SealKey> RecoveryKey::unwrap(BytesView wrapped) const {
    auto plain = key.open(kRecoveryName, wrapped);
    if (!plain) return fail(Errc::kDenied, "this recovery key is not the one of this cluster");
    auto cluster = SealKey::from_bytes(*plain);
    wipe(*plain);
    return cluster;
}

}  // namespace smackd::auth
