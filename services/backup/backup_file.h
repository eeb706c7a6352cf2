// The format of a backup file: one file, sealed to the cluster's recovery key.
//
//     "SMACKBAK" | version u32 | length u32 | wire::BackupHeader | crc32c u32 of all before (little-endian)
//     chunk | chunk | ... | last chunk
//
// Each chunk but the last holds kChunkBytes of plaintext, the last 1 to kChunkBytes; each is followed by its
// tag. They are sealed by AES-256-GCM under HKDF-SHA-256(cluster key, salt of the header), which is this
// file's own, with the nonce "counter of 11 bytes, big-endian, then 1 for the last chunk, else 0" (STREAM:
// Hoang, Reyhanitabar, Rogaway, Vizar, "Online Authenticated-Encryption and its Nonce-Reuse
// Misuse-Resistance", CRYPTO 2015; as age does it) and SHA-256 of the header as associated bytes. So a chunk
// that is changed, cut off, repeated, moved or of another file does not open. The plaintext is one zstd frame
// of what backup_contents.h says.
//
// The header is all that is in the clear; its checksum tells damage from a wrong key.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "auth/sealing.h"
#include "core/compress.h"
#include "core/wire/backup.pb.h"
#include "net/crypto/aead.h"

namespace smackd::services {

inline constexpr std::string_view kBackupMagic = "SMACKBAK";
inline constexpr uint32_t kBackupFormatVersion = 1;
inline constexpr size_t kBackupPrefixBytes = 8 + 4 + 4;  ///< magic, version, length
inline constexpr size_t kBackupHeaderBytesMax = 16 * 1024;
inline constexpr size_t kBackupSaltBytes = 32;
inline constexpr size_t kBackupChunkBytes = 64 * 1024;
inline constexpr size_t kSealedChunkBytes = kBackupChunkBytes + net::crypto::kAeadTagBytes;
inline constexpr size_t kSoftwareBytesMax = 64;
inline constexpr size_t kWrappedKeyBytesMax = 256;

/// A header as it lies in the file.
struct EncodedHeader {
    wire::BackupHeader header;
    core::Bytes bytes;  ///< prefix and checksum included
};

EncodedHeader encode_header(wire::BackupHeader header);
/// How many bytes the header takes, from the first kBackupPrefixBytes of a file. kInvalid: no backup;
/// kUnsupported: of another format version.
core::Result<size_t> header_size(core::BytesView prefix);
/// Checks checksum and fields. kCorrupt names what is wrong.
core::Result<EncodedHeader> parse_header(core::BytesView bytes);

/// The key of the chunks behind `header`, and what ties them to it.
class ChunkKey {
 public:
    ChunkKey(const auth::SealKey& cluster_key, const EncodedHeader& header);
    core::Bytes seal(uint64_t number, bool last, core::BytesView plain);
    /// kCorrupt names the chunk.
    core::Result<core::Bytes> open(uint64_t number, bool last, core::BytesView sealed);

 private:
    explicit ChunkKey(core::Bytes key, core::BytesView header);
    net::crypto::AeadKey key_;
    core::Bytes associated_;
};

/// Cuts a stream of bytes into sealed chunks.
class ChunkSealer {
 public:
    ChunkSealer(const auth::SealKey& cluster_key, const EncodedHeader& header, core::ByteSink out)
        : key_(cluster_key, header), out_(std::move(out)) {}
    core::Result<void> write(core::BytesView plain);
    /// Seals what is left as the last chunk; something must have been written.
    core::Result<void> finish();

 private:
    ChunkKey key_;
    core::ByteSink out_;
    core::Bytes waiting_;  // 1 to kBackupChunkBytes: the newest chunk is held back, it may be the last
    uint64_t number_ = 0;
};

/// The way back.
class ChunkOpener {
 public:
    ChunkOpener(const auth::SealKey& cluster_key, const EncodedHeader& header, core::ByteSink out)
        : key_(cluster_key, header), out_(std::move(out)) {}
    core::Result<void> write(core::BytesView sealed);
    /// kCorrupt unless what came last was the last chunk.
    core::Result<void> finish();

 private:
    core::Result<void> open_one(bool last, core::BytesView sealed);
    ChunkKey key_;
    core::ByteSink out_;
    core::Bytes waiting_;
    uint64_t number_ = 0;
};

}  // namespace smackd::services
