#include "storage/blobs/blob_store.h"

#include <algorithm>
#include <format>

#include "core/assert.h"

namespace smackd::storage {

using core::Bytes;
using core::BytesView;
using core::Errc;
using core::fail;
using core::Result;

namespace {

constexpr size_t kReadBytes = 256 * 1024;
constexpr std::string_view kUnnamed = "unnamed-";

/// Gives `out` the whole file in pieces.
template <class Out>
Result<uint64_t> read_pieces(core::File& file, Out out) {
    Bytes piece(kReadBytes, '\0');
    uint64_t at = 0;
    for (;;) {
        TRY_ASSIGN(const size_t count, file.read_at(at, piece.data(), piece.size()));
        if (count == 0) return at;
        out(BytesView(piece).substr(0, count));
        at += count;
    }
}

}  // namespace

BlobWriter::BlobWriter(BlobStore& store, std::string path, std::unique_ptr<core::File> file)
    : store_(store), path_(std::move(path)), file_(std::move(file)), hasher_(store.new_hasher_()) {}

BlobWriter::~BlobWriter() {
    std::lock_guard lock(store_.mutex_);
    store_.open_writers_.erase(path_);
}

Result<void> BlobWriter::append(BytesView bytes) {
    SMACK_ASSERT(file_ != nullptr);
    if (expected_ && bytes.size() > *expected_ - size_) {
        return fail(Errc::kInvalid, "blob: longer than its {} bytes", *expected_);
    }
    TRY(file_->write_at(size_, bytes));
    hasher_->update(bytes);
    size_ += bytes.size();
    return {};
}

Result<void> BlobWriter::restart() {
    TRY(file_->truncate(0));
    size_ = 0;
    hasher_ = store_.new_hasher_();
    return {};
}

void BlobWriter::discard() {
    file_.reset();
    auto removed = store_.disk_.remove(path_);
    static_cast<void>(removed);  // what stays is found by collect()
}

Result<Digest> BlobWriter::commit() {
    const Digest found = Digest::of_sha256(hasher_->finish());
    if (digest_ && size_ != *expected_) {
        const uint64_t size = size_;
        discard();
        return fail(Errc::kCorrupt, "blob {}: {} bytes came instead of {}", digest_->to_string(), size,
                    *expected_);
    }
    if (digest_ && found != *digest_) {
        discard();
        return fail(Errc::kCorrupt, "blob {}: its bytes have the digest {}", digest_->to_string(),
                    found.to_string());
    }
    TRY(store_.publish(*this, found));
    return found;
}

BlobStore::BlobStore(core::Disk& disk, std::string directory, core::NewHasher new_hasher)
    : disk_(disk), directory_(std::move(directory)), new_hasher_(new_hasher) {}

Result<std::unique_ptr<BlobStore>> BlobStore::open(core::Disk& disk, std::string directory,
                                                   core::NewHasher new_hasher) {
    std::unique_ptr<BlobStore> store(new BlobStore(disk, std::move(directory), new_hasher));
    auto loaded = store->load();
    if (!loaded) return core::pass(std::move(loaded), std::format("blobs in {}", store->directory_));
    return store;
}

Result<void> BlobStore::load() {
    TRY(disk_.make_directory(directory_ + "/partial"));
    TRY(disk_.make_directory(directory_ + "/sha256"));
    TRY(disk_.sync_directory(directory_));
    TRY(disk_.sync_directory(directory_.substr(0, directory_.rfind('/')) + "/"));
    TRY_ASSIGN(const std::vector<std::string> partial, disk_.list(directory_ + "/partial"));
    for (const std::string& name : partial) {
        if (!name.starts_with(kUnnamed)) continue;  // nobody can go on with one that has no name
        TRY(disk_.remove(directory_ + "/partial/" + name));
    }
    TRY_ASSIGN(const std::vector<std::string> folders, disk_.list(directory_ + "/sha256"));
    for (const std::string& name : folders) TRY(load_folder(name));
    return {};
}

Result<void> BlobStore::load_folder(const std::string& name) {
    TRY_ASSIGN(const std::vector<std::string> files, disk_.list(directory_ + "/sha256/" + name));
    for (const std::string& file_name : files) {
        auto digest = Digest::parse("sha256:" + file_name);
        if (!digest || !file_name.starts_with(name)) continue;  // not ours
        TRY_ASSIGN(auto file, disk_.open(path(*digest), core::OpenMode::kRead));
        TRY_ASSIGN(const uint64_t size, file->size());
        sizes_.emplace(std::move(*digest), size);
        bytes_ += size;
    }
    return {};
}

std::string BlobStore::folder(const Digest& digest) const {
    return std::format("{}/sha256/{}", directory_, digest.hex().substr(0, 2));
}
std::string BlobStore::path(const Digest& digest) const {
    return folder(digest) + "/" + digest.hex();
}

bool BlobStore::has(const Digest& digest) const {
    return size(digest).has_value();
}
std::optional<uint64_t> BlobStore::size(const Digest& digest) const {
    std::lock_guard lock(mutex_);
    const auto found = sizes_.find(digest);
    if (found == sizes_.end()) return std::nullopt;
    return found->second;
}
uint64_t BlobStore::bytes() const {
    std::lock_guard lock(mutex_);
    return bytes_;
}

Result<std::unique_ptr<BlobWriter>> BlobStore::open_writer(std::string name) {
    std::string path = directory_ + "/partial/" + name;
    {
        std::lock_guard lock(mutex_);
        if (!open_writers_.emplace(path, true).second) {
            return fail(Errc::kConflict, "blob {} is being written", name);
        }
    }
    auto file = disk_.open(path, core::OpenMode::kCreate);
    if (!file) {
        std::lock_guard lock(mutex_);
        open_writers_.erase(path);
        return core::pass(std::move(file));
    }
    return std::unique_ptr<BlobWriter>(new BlobWriter(*this, std::move(path), std::move(*file)));
}

Result<std::unique_ptr<BlobWriter>> BlobStore::write(const Digest& digest, uint64_t size) {
    TRY_ASSIGN(auto writer, open_writer(digest.hex()));
    writer->digest_ = digest;
    writer->expected_ = size;
    TRY_ASSIGN(const uint64_t there, writer->file_->size());
    if (there > size) {
        TRY(writer->restart());
        return writer;
    }
    TRY_ASSIGN(writer->size_,
               read_pieces(*writer->file_, [&](BytesView piece) { writer->hasher_->update(piece); }));
    return writer;
}

Result<std::unique_ptr<BlobWriter>> BlobStore::write_unnamed(uint64_t size_max) {
    std::string name;
    {
        std::lock_guard lock(mutex_);
        name = std::format("{}{}", kUnnamed, ++unnamed_);
    }
    TRY_ASSIGN(auto writer, open_writer(std::move(name)));
    TRY(writer->restart());
    writer->expected_ = size_max;
    return writer;
}

Result<void> BlobStore::publish(BlobWriter& writer, const Digest& digest) {
    TRY(writer.file_->sync());
    writer.file_.reset();
    TRY(disk_.make_directory(folder(digest)));
    TRY(disk_.rename(writer.path_, path(digest)));
    TRY(disk_.sync_directory(folder(digest)));
    TRY(disk_.sync_directory(directory_ + "/sha256"));
    std::lock_guard lock(mutex_);
    if (sizes_.emplace(digest, writer.size_).second) bytes_ += writer.size_;
    return {};
}

Result<Digest> BlobStore::put(BytesView bytes) {
    TRY_ASSIGN(auto writer, write_unnamed(bytes.size()));
    auto appended = writer->append(bytes);
    if (!appended) {
        writer->discard();
        return core::pass(std::move(appended));
    }
    return writer->commit();
}

Result<Bytes> BlobStore::read(const Digest& digest, uint64_t limit) {
    const auto length = size(digest);
    if (!length) return fail(Errc::kNotFound, "no blob {}", digest.to_string());
    if (*length > limit)
        return fail(Errc::kInvalid, "blob {}: longer than {} bytes", digest.to_string(), limit);
    TRY_ASSIGN(auto file, disk_.open(path(digest), core::OpenMode::kRead));
    auto hasher = new_hasher_();
    Bytes bytes;
    TRY_ASSIGN(const uint64_t count, read_pieces(*file, [&](BytesView piece) {
                   hasher->update(piece);
                   bytes.append(piece);
               }));
    if (count == *length && Digest::of_sha256(hasher->finish()) == digest) return bytes;
    file.reset();
    TRY(remove(digest));
    return fail(Errc::kCorrupt, "blob {}: damaged on the disk; it was removed", digest.to_string());
}

Result<void> BlobStore::check(const Digest& digest) {
    const auto length = size(digest);
    if (!length) return fail(Errc::kNotFound, "no blob {}", digest.to_string());
    auto hasher = new_hasher_();
    Result<uint64_t> count = uint64_t{0};
    {
        auto file = disk_.open(path(digest), core::OpenMode::kRead);
        count = file ? read_pieces(**file, [&](BytesView piece) { hasher->update(piece); })
                     : core::pass(std::move(file));
    }
    // One that cannot be read is as good as changed: whoever wants it fetches it anew.
    if (count && *count == *length && Digest::of_sha256(hasher->finish()) == digest) return {};
    TRY(remove(digest));
    return fail(Errc::kCorrupt, "blob {}: damaged on the disk; it was removed", digest.to_string());
}

std::map<Digest, uint64_t> BlobStore::all() const {
    std::lock_guard lock(mutex_);
    return sizes_;
}

Result<void> BlobStore::remove(const Digest& digest) {
    TRY(disk_.remove(path(digest)));
    TRY(disk_.sync_directory(folder(digest)));
    std::lock_guard lock(mutex_);
    const auto found = sizes_.find(digest);
    if (found == sizes_.end()) return {};
    bytes_ -= found->second;
    sizes_.erase(found);
    return {};
}

void BlobStore::count(const Digest& digest, int change) {
    std::lock_guard lock(mutex_);
    size_t& counter = references_[digest];
    SMACK_ASSERT(change > 0 || counter > 0);
    counter += static_cast<size_t>(change);
    if (counter == 0) references_.erase(digest);
}

size_t BlobStore::references(const Digest& digest) const {
    std::lock_guard lock(mutex_);
    const auto found = references_.find(digest);
    return found == references_.end() ? 0 : found->second;
}

Result<uint64_t> BlobStore::collect() {
    std::vector<Digest> unused;
    {
        std::lock_guard lock(mutex_);
        for (const auto& [digest, size] : sizes_) {
            if (!references_.contains(digest)) unused.push_back(digest);
        }
    }
    uint64_t freed = 0;
    for (const Digest& digest : unused) {
        // Locked over the removal: whoever takes a reference sees the blob whole or not at all.
        std::lock_guard lock(mutex_);
        const auto found = sizes_.find(digest);
        if (found == sizes_.end() || references_.contains(digest)) continue;
        TRY(disk_.remove(path(digest)));
        freed += found->second;
        bytes_ -= found->second;
        sizes_.erase(found);
    }
    TRY_ASSIGN(const uint64_t partial, collect_partial());
    return freed + partial;
}

Result<uint64_t> BlobStore::collect_partial() {
    uint64_t freed = 0;
    TRY_ASSIGN(const std::vector<std::string> names, disk_.list(directory_ + "/partial"));
    for (const std::string& name : names) {
        const std::string at = directory_ + "/partial/" + name;
        const auto digest = Digest::parse("sha256:" + name);
        if (digest && references(*digest) > 0) continue;
        {
            std::lock_guard lock(mutex_);
            if (open_writers_.contains(at)) continue;
        }
        TRY_ASSIGN(auto file, disk_.open(at, core::OpenMode::kRead));
        TRY_ASSIGN(const uint64_t length, file->size());
        TRY(disk_.remove(at));
        freed += length;
    }
    return freed;
}

BlobStore::Reference::Reference(BlobStore& store, Digest digest)
    : store_(&store), digest_(std::move(digest)) {
    store_->count(*digest_, 1);
}
BlobStore::Reference::Reference(Reference&& other) noexcept
    : store_(std::exchange(other.store_, nullptr)), digest_(std::move(other.digest_)) {}
BlobStore::Reference& BlobStore::Reference::operator=(Reference&& other) noexcept {
    std::swap(store_, other.store_);
    std::swap(digest_, other.digest_);
    return *this;
}
BlobStore::Reference::~Reference() {
    if (store_ != nullptr) store_->count(*digest_, -1);
}

}  // namespace smackd::storage
