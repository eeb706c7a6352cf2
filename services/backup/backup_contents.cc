#include "services/backup/backup_contents.h"

#include <algorithm>

#include "core/planted.h"

namespace smackd::services {

using core::Bytes;
using core::BytesView;
using core::Errc;
using core::fail;
using core::Result;

namespace {

constexpr size_t kLengthBytes = 4;

Result<void> check_manifest(const wire::BackupManifest& manifest) {
    if (manifest.epoch() == 0 || manifest.index() == 0 || manifest.term() == 0)
        return fail(Errc::kCorrupt, "manifest: epoch, index and term must not be 0");
    if (manifest.files_size() != static_cast<int>(kBackupFiles.size()))
        return fail(Errc::kCorrupt, "manifest: {} files, {} are expected", manifest.files_size(),
                    kBackupFiles.size());
    for (int i = 0; i < manifest.files_size(); ++i) {
        const wire::BackupFile& file = manifest.files(i);
        if (file.name() != kBackupFiles[static_cast<size_t>(i)])
            return fail(Errc::kCorrupt, "manifest: file {} must be {}", i + 1,
                        kBackupFiles[static_cast<size_t>(i)]);
        if (file.size() == 0 || file.size() > kBackupFileBytesMax)
            return fail(Errc::kCorrupt, "manifest: {} must have 1 to {} bytes", file.name(),
                        kBackupFileBytesMax);
    }
    return {};
}

}  // namespace

Bytes encode_manifest(const wire::BackupManifest& manifest) {
    const Bytes body = manifest.SerializeAsString();
    Bytes out;
    core::put_u32(out, static_cast<uint32_t>(body.size()));
    return out + body;
}

Result<void> ContentsParser::write(BytesView bytes) {
    if (!begun_) TRY(take_manifest(bytes));
    while (!bytes.empty()) {
        if (file_ == manifest_.files_size())
            return fail(Errc::kCorrupt, "contents go on behind the last file");
        TRY(take_file(bytes));
    }
    return {};
}

// Moves what belongs to the manifest out of `bytes`.
Result<void> ContentsParser::take_manifest(BytesView& bytes) {
    const auto take_up_to = [&](size_t size) {
        const size_t count = std::min(bytes.size(), size - std::min(size, head_.size()));
        head_ += bytes.substr(0, count);
        bytes.remove_prefix(count);
        return head_.size() >= size;
    };
    if (!take_up_to(kLengthBytes)) return {};
    const uint32_t length = core::get_u32(head_.data());
    if (length > kBackupManifestBytesMax)
        return fail(Errc::kCorrupt, "manifest: {} bytes, the limit is {}", length, kBackupManifestBytesMax);
    if (!take_up_to(kLengthBytes + length)) return {};
    if (!manifest_.ParseFromArray(head_.data() + kLengthBytes, static_cast<int>(length)))
        return fail(Errc::kCorrupt, "manifest: cannot be read");
    TRY(check_manifest(manifest_));
    begun_ = true;
    return sink_.begin(manifest_);
}

Result<void> ContentsParser::take_file(BytesView& bytes) {
    const wire::BackupFile& file = manifest_.files(file_);
    const uint64_t left = file.size() - written_;
    BytesView part = bytes.substr(0, static_cast<size_t>(std::min<uint64_t>(left, bytes.size())));
    if (SMACK_BUG("fuzz_backup_file")) part = bytes;
    TRY(sink_.write(file.name(), part));
    written_ += part.size();
    bytes.remove_prefix(part.size());
    if (written_ < file.size()) return {};
    ++file_;
    written_ = 0;
    return sink_.end(file.name());
}

Result<void> ContentsParser::finish() const {
    if (begun_ && file_ == manifest_.files_size()) return {};
    return fail(Errc::kCorrupt, "contents are cut short");
}

}  // namespace smackd::services
