#include "services/images/archive_import.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <format>

#include "core/callback.h"
#include "core/images/archive_layout.h"
#include "net/crypto/hash.h"
#include "services/images/file_descriptor.h"

namespace smackd::services::images {

using core::Bytes;
using core::BytesView;
using core::Errc;
using core::fail;
using core::Result;
using core::images::Digest;
using core::images::Index;
using core::images::Manifest;
using storage::BlobStore;

namespace {

using Blob = core::images::Descriptor;

constexpr size_t kPieceBytes = 256 * 1024;
constexpr size_t kIndexDepthMax = 3;

/// The foreign folder: links in it (`docker save` makes some) are followed below it only.
class Folder {
 public:
    static Result<Folder> open(const std::string& path) {
        Folder folder;
        folder.root_ = FileDescriptor(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (!folder.root_) return core::fail_errno(errno, path);
        return folder;
    }
    bool has(const std::string& path) const { return static_cast<bool>(open_file(path)); }

    /// The file in pieces; kInvalid when it is no plain file or longer than `limit`.
    Result<void> read(const std::string& path, uint64_t limit,
                      core::Callback<Result<void>(BytesView)> take) const {
        TRY_ASSIGN(const FileDescriptor file, open_file(path));
        Bytes piece(kPieceBytes, '\0');
        for (uint64_t left = limit;;) {
            const ssize_t count = ::read(file.get(), piece.data(), piece.size());
            if (count < 0) return core::fail_errno(errno, path);
            if (count == 0) return {};
            if (static_cast<uint64_t>(count) > left)
                return fail(Errc::kInvalid, "{}: longer than {} bytes", path, limit);
            left -= static_cast<uint64_t>(count);
            TRY(take(BytesView(piece).substr(0, static_cast<size_t>(count))));
        }
    }
    Result<Bytes> read(const std::string& path, uint64_t limit) const {
        Bytes bytes;
        TRY(read(path, limit, [&](BytesView piece) -> Result<void> {
            bytes.append(piece);
            return {};
        }));
        return bytes;
    }

 private:
    Result<FileDescriptor> open_file(const std::string& path) const {
        open_how how{};
        how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;  // a fifo must not hold us
        how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
        FileDescriptor file(
            static_cast<int>(::syscall(SYS_openat2, root_.get(), path.c_str(), &how, sizeof how)));
        if (!file) return core::fail_errno(errno, std::format("the archive's {}", path));
        struct stat about{};
        if (::fstat(file.get(), &about) != 0 || !S_ISREG(about.st_mode)) {
            return fail(Errc::kInvalid, "the archive's {} is no plain file", path);
        }
        return file;
    }
    FileDescriptor root_;
};

std::string blob_path(const Digest& digest) {
    return "blobs/sha256/" + digest.hex();
}

/// Copies a file of the folder into the store and returns how it is named there.
Result<Blob> store_file(const Folder& folder, const std::string& path, BlobStore& blobs) {
    TRY_ASSIGN(auto writer, blobs.write_unnamed(core::images::kBlobBytesMax));
    auto copied = folder.read(path, core::images::kBlobBytesMax,
                              [&](BytesView piece) { return writer->append(piece); });
    if (!copied) {
        writer->discard();
        return core::pass(std::move(copied));
    }
    const uint64_t size = writer->size();
    TRY_ASSIGN(Digest digest, writer->commit());
    return Blob{"", std::move(digest), size};
}

Result<void> store_described(const Folder& folder, const Blob& blob, BlobStore& blobs) {
    if (blobs.size(blob.digest) == blob.size) return {};
    TRY_ASSIGN(auto writer, blobs.write(blob.digest, blob.size));
    TRY(writer->restart());
    auto copied = folder.read(blob_path(blob.digest), blob.size,
                              [&](BytesView piece) { return writer->append(piece); });
    if (!copied) {
        writer->discard();
        return core::pass(std::move(copied));
    }
    return writer->commit().transform([](const Digest&) {});
}

/// From the folder's index down to the manifest of a platform.
Result<Bytes> find_manifest(const Folder& folder, const core::images::Platform& wanted, Bytes text) {
    for (size_t depth = 0; depth < kIndexDepthMax; ++depth) {
        TRY_ASSIGN(const auto document, core::images::parse_manifest("", text));
        const auto* index = std::get_if<Index>(&document);
        if (index == nullptr) return text;
        // An index of one entry needs no platform: that is how layouts of one image are written.
        auto chosen = core::images::choose_platform(*index, wanted);
        const bool only = index->manifests.size() == 1 && index->manifests[0].platform.os.empty();
        if (only) chosen = index->manifests[0].manifest;
        if (!chosen) return core::pass(std::move(chosen));
        TRY_ASSIGN(text, folder.read(blob_path(chosen->digest), core::images::kManifestBytesMax));
        if (Digest::of_sha256(net::crypto::sha256(text)) != chosen->digest) {
            return fail(Errc::kCorrupt, "the archive's manifest {} is damaged", chosen->digest.to_string());
        }
    }
    return fail(Errc::kInvalid, "the archive has indexes in indexes, more than {} deep", kIndexDepthMax);
}

Result<ImportedImage> import_manifest(std::string name, const Bytes& text, BlobStore& blobs,
                                      const Folder* folder) {
    TRY_ASSIGN(auto document, core::images::parse_manifest("", text));
    auto* manifest = std::get_if<Manifest>(&document);
    if (manifest == nullptr) return fail(Errc::kInvalid, "the archive's manifest is an index");
    ImportedImage image{std::move(name), Digest::of_sha256(net::crypto::sha256(text)), std::move(*manifest)};
    image.references.emplace_back(blobs, image.id);
    std::vector<Blob> parts = image.manifest.layers;
    parts.push_back(image.manifest.config);
    for (const Blob& part : parts) {
        image.references.emplace_back(blobs, part.digest);
        if (folder != nullptr) TRY(store_described(*folder, part, blobs));
    }
    TRY(blobs.put(text));
    return image;
}

Result<ImportedImage> import_docker(const Folder& folder, BlobStore& blobs) {
    TRY_ASSIGN(const Bytes text, folder.read("manifest.json", core::images::kManifestBytesMax));
    TRY_ASSIGN(const auto archive, core::images::parse_docker_archive(text));
    TRY_ASSIGN(Blob config, store_file(folder, archive.config, blobs));
    config.media_type = "application/vnd.oci.image.config.v1+json";
    Manifest manifest{std::move(config), {}};
    for (const std::string& path : archive.layers) {
        TRY_ASSIGN(Blob layer, store_file(folder, path, blobs));
        layer.media_type = "application/vnd.oci.image.layer.v1.tar";
        manifest.layers.push_back(std::move(layer));
    }
    std::string name = archive.names.empty() ? "" : archive.names.front();
    return import_manifest(std::move(name), core::images::make_manifest(manifest), blobs, nullptr);
}

Result<ImportedImage> import_oci(const Folder& folder, const core::images::Platform& wanted,
                                 BlobStore& blobs) {
    TRY_ASSIGN(const Bytes layout, folder.read("oci-layout", core::images::kManifestBytesMax));
    TRY(core::images::check_oci_layout(layout));
    TRY_ASSIGN(const Bytes index, folder.read("index.json", core::images::kManifestBytesMax));
    TRY_ASSIGN(const Bytes manifest, find_manifest(folder, wanted, index));
    return import_manifest(core::images::oci_layout_name(index), manifest, blobs, &folder);
}

}  // namespace

Result<ImportedImage> import_folder(const std::string& path, const core::images::Platform& wanted,
                                    BlobStore& blobs) {
    TRY_ASSIGN(const Folder folder, Folder::open(path));
    if (folder.has("oci-layout")) return import_oci(folder, wanted, blobs);
    if (folder.has("manifest.json")) return import_docker(folder, blobs);
    return fail(Errc::kInvalid, "neither oci-layout nor manifest.json is in it: no image");
}

}  // namespace smackd::services::images
