// Backup files: as they come (the first byte even), or as compressed contents or bare contents that are
// sealed and compressed here first, for no mutation would guess a tag.
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "core/assert.h"
#include "services/backup/backup_reader.h"

namespace {

using namespace smackd;
using namespace smackd::services;

constexpr size_t kExpandedBytesMax = 1024 * 1024;

class BytesFile final : public core::File {
 public:
    explicit BytesFile(core::Bytes bytes) : bytes_(std::move(bytes)) {}
    core::Result<size_t> read_at(uint64_t offset, char* buffer, size_t length) override {
        if (offset >= bytes_.size()) return size_t{0};
        return bytes_.copy(buffer, length, offset);
    }
    core::Result<void> write_at(uint64_t, core::BytesView) override { return {}; }
    core::Result<void> sync() override { return {}; }
    core::Result<void> truncate(uint64_t) override { return {}; }
    core::Result<void> allocate(uint64_t) override { return {}; }
    core::Result<uint64_t> size() override { return bytes_.size(); }

 private:
    core::Bytes bytes_;
};

/// What the manifest promised is what comes, file by file.
struct CheckingSink final : BackupSink {
    std::map<std::string, uint64_t> left;
    size_t total = 0;
    core::Result<void> begin(const wire::BackupManifest& manifest) override {
        for (const wire::BackupFile& file : manifest.files()) left[file.name()] = file.size();
        return {};
    }
    core::Result<void> write(const std::string& file, core::BytesView bytes) override {
        SMACK_ASSERT(left.contains(file) && left[file] >= bytes.size());
        left[file] -= bytes.size();
        total += bytes.size();
        if (total > kExpandedBytesMax) return core::fail(core::Errc::kInvalid, "enough");
        return {};
    }
    core::Result<void> end(const std::string& file) override {
        SMACK_ASSERT(left[file] == 0);
        return {};
    }
};

const auth::SealKey& key() {
    static const auth::SealKey made = *auth::SealKey::from_bytes(core::Bytes(auth::kSealKeyBytes, 'k'));
    return made;
}

const EncodedHeader& header() {
    static const EncodedHeader made = [] {
        wire::BackupHeader header;
        header.set_cluster_id(std::string(64, 'a'));
        header.set_wrapped_cluster_key("wrapped");
        header.set_salt(core::Bytes(kBackupSaltBytes, 's'));
        return encode_header(std::move(header));
    }();
    return made;
}

core::Bytes sealed(core::BytesView payload) {
    core::Bytes out = header().bytes;
    ChunkSealer sealer(key(), header(), [&out](core::BytesView bytes) {
        out += bytes;
        return core::Result<void>();
    });
    (void)sealer.write(payload);
    (void)sealer.finish();
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 2) return 0;
    const core::BytesView rest(reinterpret_cast<const char*>(data) + 1, size - 1);
    core::Bytes file(rest);
    if (data[0] % 4 == 1) file = sealed(rest);
    CheckingSink sink;
    if (data[0] % 4 >= 2) {
        ContentsParser parser(sink);
        for (size_t at = 0, piece = 1; at < rest.size(); at += piece, piece = piece % 7 + 1)
            if (!parser.write(rest.substr(at, piece))) return 0;
        if (parser.finish())
            for (const auto& [name, left] : sink.left) SMACK_ASSERT(left == 0);
        return 0;
    }
    auto reader = BackupReader::over(std::make_unique<BytesFile>(std::move(file)));
    if (!reader) return 0;
    if (reader->read(key(), sink))
        for (const auto& [name, left] : sink.left) SMACK_ASSERT(left == 0);
    return 0;
}
