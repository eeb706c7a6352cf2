#include "storage/log/metadata.h"

#include <optional>

#include "core/planted.h"

namespace smackd::storage {
namespace {

constexpr uint32_t kMagic = 0x4D455441;
constexpr uint64_t kSlotBytes = 4096;  // a page apart, so that one bad block cannot hit both
constexpr size_t kCopyBytes = 56;

struct Copy {
    uint64_t version = 0;
    Metadata value;
};

core::Bytes encode(const Copy& copy) {
    core::Bytes bytes;
    core::put_u32(bytes, kMagic);
    core::put_u64(bytes, copy.version);
    core::put_u64(bytes, copy.value.term.value);
    core::put_u64(bytes, copy.value.vote.value);
    core::put_u64(bytes, copy.value.voters);
    core::put_u64(bytes, copy.value.damage_term.value);
    core::put_u64(bytes, copy.value.epoch);
    core::put_u32(bytes, core::crc32c(bytes));
    return bytes;
}

std::optional<Copy> decode(core::BytesView bytes) {
    if (bytes.size() < kCopyBytes) return std::nullopt;
    const char* at = bytes.data();
    if (core::get_u32(at) != kMagic) return std::nullopt;
    const bool checks = core::get_u32(at + kCopyBytes - 4) == core::crc32c(bytes.substr(0, kCopyBytes - 4));
    if (!checks && !SMACK_BUG("meta_skip_checksum")) return std::nullopt;
    Copy copy;
    copy.version = core::get_u64(at + 4);
    copy.value.term.value = core::get_u64(at + 12);
    copy.value.vote.value = core::get_u64(at + 20);
    copy.value.voters = core::get_u64(at + 28);
    copy.value.damage_term.value = core::get_u64(at + 36);
    copy.value.epoch = core::get_u64(at + 44);
    return copy;
}

}  // namespace

core::Result<MetadataStore> MetadataStore::open(core::Disk& disk, const std::string& path) {
    MetadataStore store(disk, path);
    TRY_ASSIGN(const bool exists, disk.exists(path));
    if (!exists) return store;
    TRY_ASSIGN(const core::Bytes bytes, core::read_file(disk, path, 4 * kSlotBytes));
    const core::BytesView view(bytes);
    const auto first = decode(view.substr(0, kSlotBytes));
    const auto second = view.size() > kSlotBytes ? decode(view.substr(kSlotBytes)) : std::nullopt;
    if (!first && !second) {
        return core::fail(
            core::Errc::kCorrupt,
            "{}: both copies of term and vote are damaged; this server could vote twice and will not "
            "start: remove it from the cluster and join it anew",
            path);
    }
    const Copy& newest = !second || (first && first->version >= second->version) ? *first : *second;
    store.value_ = newest.value;
    store.version_ = newest.version;
    if (!first || !second || first->version != second->version) {
        store.healed_ = true;
        TRY(store.write(newest.value));
    }
    return store;
}

core::Result<void> MetadataStore::write(const Metadata& value) {
    const core::Bytes bytes = encode(Copy{.version = version_ + 1, .value = value});
    const bool fresh = version_ == 0;
    if (fresh) {
        // The file appears whole or not at all.
        core::Bytes both = bytes;
        both.resize(kSlotBytes, '\0');
        both += bytes;
        TRY(core::write_file(*disk_, path_, both));
    } else {
        TRY_ASSIGN(auto file, disk_->open(path_, core::OpenMode::kReadWrite));
        TRY(write_copy(*file, 0, bytes));
        TRY(write_copy(*file, kSlotBytes, bytes));
    }
    ++version_;
    value_ = value;
    return {};
}

core::Result<void> MetadataStore::write_copy(core::File& file, uint64_t slot, const core::Bytes& bytes) {
    TRY(file.write_at(slot, bytes));
    if (SMACK_BUG("meta_forget_sync")) return {};
    return file.sync();
}

}  // namespace smackd::storage
