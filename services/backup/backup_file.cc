#include "services/backup/backup_file.h"

#include <algorithm>

#include "core/assert.h"
#include "core/names.h"
#include "net/crypto/hash.h"

namespace smackd::services {

using core::Bytes;
using core::BytesView;
using core::Errc;
using core::fail;
using core::Result;

namespace {

constexpr std::string_view kKeyInfo = "smackd backup 1";
constexpr size_t kChecksumBytes = 4;
constexpr size_t kClusterIdBytes = 64;

bool is_hex(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

Bytes nonce(uint64_t number, bool last) {
    Bytes out(net::crypto::kAeadNonceBytes, '\0');
    for (size_t i = 0; i < sizeof number; ++i)
        out[out.size() - 2 - i] = static_cast<char>(number >> (8 * i) & 0xffU);
    out.back() = last ? '\1' : '\0';
    return out;
}

Result<void> check_header(const wire::BackupHeader& header) {
    if (header.cluster_id().size() != kClusterIdBytes || !is_hex(header.cluster_id()))
        return fail(Errc::kCorrupt, "cluster_id: must be {} hex digits", kClusterIdBytes);
    if (header.salt().size() != kBackupSaltBytes)
        return fail(Errc::kCorrupt, "salt: must have {} bytes", kBackupSaltBytes);
    if (header.wrapped_cluster_key().empty() || header.wrapped_cluster_key().size() > kWrappedKeyBytesMax)
        return fail(Errc::kCorrupt, "wrapped_cluster_key: must have 1 to {} bytes", kWrappedKeyBytesMax);
    return core::check_text("software", header.software(), kSoftwareBytesMax);
}

}  // namespace

EncodedHeader encode_header(wire::BackupHeader header) {
    const Bytes body = header.SerializeAsString();
    Bytes bytes(kBackupMagic);
    core::put_u32(bytes, kBackupFormatVersion);
    core::put_u32(bytes, static_cast<uint32_t>(body.size()));
    bytes += body;
    core::put_u32(bytes, core::crc32c(bytes));
    return {std::move(header), std::move(bytes)};
}

Result<size_t> header_size(BytesView prefix) {
    if (prefix.size() < kBackupPrefixBytes || !prefix.starts_with(kBackupMagic))
        return fail(Errc::kInvalid, "this is no backup of smackd");
    const uint32_t version = core::get_u32(prefix.data() + kBackupMagic.size());
    if (version != kBackupFormatVersion) {
        return fail(
            Errc::kUnsupported,
            "the file has backup format {}, this smackd reads format {}: use the version that made it",
            version, kBackupFormatVersion);
    }
    const uint32_t length = core::get_u32(prefix.data() + kBackupMagic.size() + sizeof version);
    if (length > kBackupHeaderBytesMax)
        return fail(Errc::kCorrupt, "the header says {} bytes, the limit is {}", length,
                    kBackupHeaderBytesMax);
    return kBackupPrefixBytes + length + kChecksumBytes;
}

Result<EncodedHeader> parse_header(BytesView bytes) {
    TRY_ASSIGN(const size_t size, header_size(bytes));
    if (bytes.size() != size) return fail(Errc::kCorrupt, "the header is cut short");
    const BytesView summed = bytes.substr(0, size - kChecksumBytes);
    if (core::crc32c(summed) != core::get_u32(bytes.data() + summed.size()))
        return fail(Errc::kCorrupt, "the header fails its checksum");
    EncodedHeader encoded;
    const BytesView body = summed.substr(kBackupPrefixBytes);
    if (!encoded.header.ParseFromArray(body.data(), static_cast<int>(body.size())))
        return fail(Errc::kCorrupt, "the header cannot be read");
    if (auto checked = check_header(encoded.header); !checked)
        return fail(Errc::kCorrupt, "header: {}", checked.error().message);
    encoded.bytes = Bytes(bytes);
    return encoded;
}

ChunkKey::ChunkKey(const auth::SealKey& cluster_key, const EncodedHeader& header)
    : ChunkKey(net::crypto::hkdf_sha256(cluster_key.bytes(), header.header.salt(), kKeyInfo,
                                        net::crypto::kAeadKeyBytes),
               header.bytes) {}

ChunkKey::ChunkKey(Bytes key, BytesView header) : key_(key), associated_(net::crypto::sha256(header)) {
    auth::wipe(key);
}

Bytes ChunkKey::seal(uint64_t number, bool last, BytesView plain) {
    return key_.seal(nonce(number, last), plain, associated_);
}

Result<Bytes> ChunkKey::open(uint64_t number, bool last, BytesView sealed) {
    auto plain = key_.open(nonce(number, last), sealed, associated_);
    if (plain) return plain;
    return fail(Errc::kCorrupt, "chunk {}{} does not open: it was changed, cut, moved, or is of another file",
                number + 1, last ? " (the last)" : "");
}

Result<void> ChunkSealer::write(BytesView plain) {
    while (!plain.empty()) {
        if (waiting_.size() == kBackupChunkBytes) {
            TRY(out_(key_.seal(number_++, false, waiting_)));
            waiting_.clear();
        }
        const BytesView part = plain.substr(0, kBackupChunkBytes - waiting_.size());
        waiting_ += part;
        plain.remove_prefix(part.size());
    }
    return {};
}

Result<void> ChunkSealer::finish() {
    SMACK_ASSERT(!waiting_.empty());
    return out_(key_.seal(number_++, true, waiting_));
}

Result<void> ChunkOpener::open_one(bool last, BytesView sealed) {
    TRY_ASSIGN(const Bytes plain, key_.open(number_++, last, sealed));
    if (plain.empty()) return fail(Errc::kCorrupt, "chunk {} is empty", number_);
    return out_(plain);
}

Result<void> ChunkOpener::write(BytesView sealed) {
    while (!sealed.empty()) {
        if (waiting_.size() == kSealedChunkBytes) {
            TRY(open_one(false, waiting_));
            waiting_.clear();
        }
        const BytesView part = sealed.substr(0, kSealedChunkBytes - waiting_.size());
        waiting_ += part;
        sealed.remove_prefix(part.size());
    }
    return {};
}

Result<void> ChunkOpener::finish() {
    if (waiting_.empty()) return fail(Errc::kCorrupt, "the file ends behind its header");
    return open_one(true, waiting_);
}

}  // namespace smackd::services
