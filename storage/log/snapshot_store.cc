#include "storage/log/snapshot_store.h"

#include <algorithm>
#include <format>

#include "core/planted.h"
#include "storage/log/folder.h"

namespace smackd::storage {
namespace {

constexpr std::string_view kManifestName = "MANIFEST";

uint32_t chunks_of(uint64_t size, uint32_t chunk_bytes) {
    return static_cast<uint32_t>((size + chunk_bytes - 1) / chunk_bytes);
}

uint64_t chunk_length(const wire::SnapshotManifest& manifest, uint32_t file, uint32_t chunk) {
    const uint64_t start = uint64_t{chunk} * manifest.chunk_bytes();
    return std::min<uint64_t>(manifest.chunk_bytes(), manifest.files(static_cast<int>(file)).size() - start);
}

std::string folder_name(uint64_t term, uint64_t index) {
    return std::format("snap-{:020}-{:020}", term, index);
}

core::Result<core::Bytes> read_range(core::File& file, uint64_t offset, uint64_t length) {
    core::Bytes bytes(length, '\0');
    TRY_ASSIGN(const size_t count, file.read_at(offset, bytes.data(), bytes.size()));
    bytes.resize(count);
    return bytes;
}

bool chunk_checks(const wire::SnapshotManifest& manifest, uint32_t file, uint32_t chunk,
                  core::BytesView data) {
    if (data.size() != chunk_length(manifest, file, chunk)) return false;
    if (SMACK_BUG("snapshot_skip_checksum")) return true;
    return core::crc32c(data) == manifest.files(static_cast<int>(file)).chunk_crc32c(static_cast<int>(chunk));
}

core::Bytes encode_manifest(const wire::SnapshotManifest& manifest) {
    core::Bytes bytes = manifest.SerializeAsString();
    core::put_u32(bytes, core::crc32c(bytes));
    return bytes;
}

core::Result<wire::SnapshotManifest> decode_manifest(core::BytesView bytes) {
    wire::SnapshotManifest manifest;
    if (bytes.size() < 4) return core::fail(core::Errc::kCorrupt, "manifest cut short");
    const core::BytesView body = bytes.substr(0, bytes.size() - 4);
    if (core::crc32c(body) != core::get_u32(bytes.data() + body.size())) {
        return core::fail(core::Errc::kCorrupt, "manifest fails its checksum");
    }
    if (!manifest.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
        return core::fail(core::Errc::kCorrupt, "manifest cannot be read");
    }
    TRY(check_manifest(manifest));
    return manifest;
}

bool is_file_name(std::string_view name) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
    };
    return !name.empty() && name.size() <= 64 && name.front() != '.' && std::ranges::all_of(name, allowed);
}

bool is_newer(const wire::SnapshotManifest& left, const wire::SnapshotManifest& right) {
    return left.index() > right.index();
}

}  // namespace

core::Result<void> check_manifest(const wire::SnapshotManifest& manifest) {
    const auto invalid = [](std::string_view what) {
        return core::fail(core::Errc::kInvalid, "manifest: {}", what);
    };
    if (manifest.index() == 0 || manifest.term() == 0) return invalid("index and term must not be 0");
    if (manifest.configuration().empty() || manifest.configuration_index() > manifest.index()) {
        return invalid("configuration missing or newer than the snapshot");
    }
    if (manifest.chunk_bytes() < 4096 || manifest.chunk_bytes() > kSnapshotChunkBytes * 4) {
        return invalid("chunk_bytes out of range");
    }
    if (manifest.files_size() < 1 || manifest.files_size() > kSnapshotFilesMax)
        return invalid("too many files or none");
    for (const wire::SnapshotFile& file : manifest.files()) {
        if (!is_file_name(file.name())) return invalid("a file name has characters outside [a-z0-9._-]");
        if (file.size() > kSnapshotFileBytesMax) return invalid("a file is too long");
        if (static_cast<uint32_t>(file.chunk_crc32c_size()) !=
            chunks_of(file.size(), manifest.chunk_bytes())) {
            return invalid("a file's checksums do not fit its size");
        }
    }
    return {};
}

std::string SnapshotStore::path(const wire::SnapshotManifest& manifest) const {
    return directory_ + "/" + folder_name(manifest.term(), manifest.index());
}

core::Result<void> SnapshotStore::open(std::vector<std::string>& damaged) {
    TRY(make_durable_directory(disk_, directory_));
    TRY_ASSIGN(const auto names, disk_.list(directory_));
    for (const std::string& name : names) {
        const std::string folder = directory_ + "/" + name;
        if (!name.starts_with("snap-")) {
            if (folder != incoming()) TRY(remove_folder(folder));
            continue;
        }
        auto bytes =
            core::read_file(disk_, std::format("{}/{}", folder, kManifestName), kManifestBytesMax + 4);
        auto manifest = bytes ? decode_manifest(*bytes)
                              : core::Result<wire::SnapshotManifest>(core::pass(std::move(bytes)));
        if (manifest && folder == path(*manifest)) {
            snapshots_.push_back(std::move(*manifest));
        } else {
            damaged.push_back(
                std::format("{}: {}", folder, manifest ? "wrong name" : manifest.error().message));
            TRY(remove_folder(folder));
        }
    }
    std::ranges::sort(snapshots_, is_newer);
    return {};
}

core::Result<void> SnapshotStore::verify(const wire::SnapshotManifest& manifest) const {
    return verify_folder(path(manifest), manifest);
}

core::Result<void> SnapshotStore::verify_folder(const std::string& folder,
                                                const wire::SnapshotManifest& manifest) const {
    for (int f = 0; f < manifest.files_size(); ++f) {
        const wire::SnapshotFile& entry = manifest.files(f);
        const std::string name = folder + "/" + entry.name();
        TRY_ASSIGN(auto file, disk_.open(name, core::OpenMode::kRead));
        for (int c = 0; c < entry.chunk_crc32c_size(); ++c) {
            const auto chunk = static_cast<uint32_t>(c);
            const uint64_t start = uint64_t{chunk} * manifest.chunk_bytes();
            const uint64_t length = chunk_length(manifest, static_cast<uint32_t>(f), chunk);
            TRY_ASSIGN(const core::Bytes data, read_range(*file, start, length));
            if (!chunk_checks(manifest, static_cast<uint32_t>(f), chunk, data)) {
                return core::fail(core::Errc::kCorrupt, "{}: bytes {} to {} fail their checksum", name, start,
                                  start + length);
            }
        }
    }
    return {};
}

core::Result<std::string> SnapshotStore::begin_taking() {
    TRY(remove_folder(taking()));
    TRY(disk_.make_directory(taking()));
    return taking();
}

core::Result<void> SnapshotStore::finish_taking(wire::SnapshotManifest& manifest) {
    manifest.set_chunk_bytes(kSnapshotChunkBytes);
    manifest.clear_files();
    TRY_ASSIGN(const auto names, disk_.list(taking()));
    for (const std::string& name : names) {
        TRY_ASSIGN(auto file, disk_.open(taking() + "/" + name, core::OpenMode::kReadWrite));
        TRY_ASSIGN(const uint64_t size, file->size());
        wire::SnapshotFile& entry = *manifest.add_files();
        entry.set_name(name);
        entry.set_size(size);
        for (uint64_t at = 0; at < size; at += kSnapshotChunkBytes) {
            TRY_ASSIGN(const core::Bytes data,
                       read_range(*file, at, std::min<uint64_t>(kSnapshotChunkBytes, size - at)));
            entry.add_chunk_crc32c(core::crc32c(data));
        }
        if (!SMACK_BUG("snapshot_forget_sync")) TRY(file->sync());
    }
    TRY(check_manifest(manifest));
    return publish(taking(), manifest);
}

core::Result<void> SnapshotStore::publish(const std::string& folder,
                                          const wire::SnapshotManifest& manifest) const {
    {
        TRY_ASSIGN(auto file,
                   disk_.open(std::format("{}/{}", folder, kManifestName), core::OpenMode::kCreate));
        TRY(file->truncate(0));
        TRY(file->write_at(0, encode_manifest(manifest)));
        TRY(file->sync());
    }
    TRY(disk_.sync_directory(folder));
    TRY(remove_folder(path(manifest)));
    TRY(disk_.rename(folder, path(manifest)));
    if (SMACK_BUG("snapshot_forget_directory_sync")) return {};
    return disk_.sync_directory(directory_);
}

core::Result<std::vector<uint32_t>> SnapshotStore::begin_incoming(const wire::SnapshotManifest& manifest) {
    TRY(check_manifest(manifest));
    TRY(disk_.make_directory(incoming()));
    std::vector<uint32_t> have;
    for (int f = 0; f < manifest.files_size(); ++f) {
        const wire::SnapshotFile& entry = manifest.files(f);
        TRY_ASSIGN(auto file, disk_.open(incoming() + "/" + entry.name(), core::OpenMode::kCreate));
        uint32_t chunk = 0;
        for (; chunk < static_cast<uint32_t>(entry.chunk_crc32c_size()); ++chunk) {
            const uint64_t start = uint64_t{chunk} * manifest.chunk_bytes();
            TRY_ASSIGN(const core::Bytes data,
                       read_range(*file, start, chunk_length(manifest, static_cast<uint32_t>(f), chunk)));
            if (!chunk_checks(manifest, static_cast<uint32_t>(f), chunk, data)) break;
        }
        have.push_back(chunk);
    }
    return have;
}

core::Result<void> SnapshotStore::put_chunk(const wire::SnapshotManifest& manifest, uint32_t file,
                                            uint32_t chunk, core::BytesView data) {
    if (!chunk_checks(manifest, file, chunk, data)) {
        return core::fail(core::Errc::kCorrupt, "chunk {} of {} fails its checksum", chunk,
                          manifest.files(static_cast<int>(file)).name());
    }
    TRY_ASSIGN(auto target, disk_.open(incoming() + "/" + manifest.files(static_cast<int>(file)).name(),
                                       core::OpenMode::kCreate));
    return target->write_at(uint64_t{chunk} * manifest.chunk_bytes(), data);
}

core::Result<void> SnapshotStore::finish_incoming(const wire::SnapshotManifest& manifest) {
    for (const wire::SnapshotFile& entry : manifest.files()) {
        TRY_ASSIGN(auto file, disk_.open(incoming() + "/" + entry.name(), core::OpenMode::kReadWrite));
        TRY(file->truncate(entry.size()));
        TRY(file->sync());
    }
    TRY_ASSIGN(const auto names, disk_.list(incoming()));
    for (const std::string& name : names) {
        const auto known = [&](const wire::SnapshotFile& file) { return file.name() == name; };
        if (std::ranges::none_of(manifest.files(), known)) TRY(disk_.remove(incoming() + "/" + name));
    }
    TRY(verify_folder(incoming(), manifest));
    return publish(incoming(), manifest);
}

core::Result<core::Bytes> SnapshotStore::read_chunk(const wire::SnapshotManifest& manifest, uint32_t file,
                                                    uint32_t chunk) const {
    if (file >= static_cast<uint32_t>(manifest.files_size()) ||
        chunk >= static_cast<uint32_t>(manifest.files(static_cast<int>(file)).chunk_crc32c_size())) {
        return core::fail(core::Errc::kNotFound, "snapshot {} has no chunk {} of file {}", manifest.index(),
                          chunk, file);
    }
    const std::string name = path(manifest) + "/" + manifest.files(static_cast<int>(file)).name();
    TRY_ASSIGN(auto source, disk_.open(name, core::OpenMode::kRead));
    TRY_ASSIGN(core::Bytes data, read_range(*source, uint64_t{chunk} * manifest.chunk_bytes(),
                                            chunk_length(manifest, file, chunk)));
    if (!chunk_checks(manifest, file, chunk, data)) {
        return core::fail(core::Errc::kCorrupt, "{}: chunk {} fails its checksum", name, chunk);
    }
    return data;
}

core::Result<std::string> SnapshotStore::copy_for_install(const wire::SnapshotManifest& manifest,
                                                          std::string_view name) const {
    std::string folder = std::format("{}/{}", directory_, name);
    TRY(remove_folder(folder));
    TRY(disk_.make_directory(folder));
    for (int f = 0; f < manifest.files_size(); ++f) {
        const wire::SnapshotFile& entry = manifest.files(f);
        TRY_ASSIGN(auto target, disk_.open(folder + "/" + entry.name(), core::OpenMode::kCreate));
        for (int c = 0; c < entry.chunk_crc32c_size(); ++c) {
            TRY_ASSIGN(const core::Bytes data,
                       read_chunk(manifest, static_cast<uint32_t>(f), static_cast<uint32_t>(c)));
            TRY(target->write_at(uint64_t{static_cast<uint32_t>(c)} * manifest.chunk_bytes(), data));
        }
        TRY(target->sync());
    }
    TRY(disk_.sync_directory(folder));
    return folder;
}

void SnapshotStore::adopt(wire::SnapshotManifest manifest) {
    std::erase_if(snapshots_, [&](const auto& old) {
        return old.index() == manifest.index() && old.term() == manifest.term();
    });
    snapshots_.push_back(std::move(manifest));
    std::ranges::sort(snapshots_, is_newer);
}

core::Result<void> SnapshotStore::remove(const wire::SnapshotManifest& manifest) {
    const std::string folder = path(manifest);
    std::erase_if(snapshots_, [&](const auto& old) { return path(old) == folder; });
    return remove_folder(folder);
}

core::Result<void> SnapshotStore::prune(size_t keep) {
    while (snapshots_.size() > keep) {
        const wire::SnapshotManifest oldest = snapshots_.back();
        TRY(remove(oldest));
    }
    return {};
}

core::Result<void> SnapshotStore::remove_folder(const std::string& folder) const {
    TRY_ASSIGN(const bool exists, disk_.exists(folder));
    if (!exists) return {};
    TRY_ASSIGN(const auto names, disk_.list(folder));
    for (const std::string& name : names) TRY(disk_.remove(folder + "/" + name));
    return disk_.remove(folder);
}

}  // namespace smackd::storage
