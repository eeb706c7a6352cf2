#include "services/images/images.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <format>
#include <iterator>

#include "core/assert.h"
#include "core/json.h"
#include "net/crypto/hash.h"
#include "net/crypto/random.h"
#include "net/crypto/sha256.h"
#include "services/images/images_implementation.h"

namespace smackd::services::images {

using core::Errc;
using core::fail;
using core::Result;
using core::images::Digest;
using core::images::ImageName;
using net::Task;

namespace {

constexpr uint64_t kRecordBytesMax = core::kMiB;
constexpr uint64_t kCaBytesMax = 16 * core::kMiB;
constexpr size_t kSaltBytes = 32;
constexpr int64_t kUsedSavedEveryMs = 3600 * 1000;

core::images::Platform own_platform() {
#if defined(__aarch64__)
    return {"linux", "arm64", "v8"};
#else
    return {"linux", "amd64", ""};
#endif
}

Result<void> make_open_folder(core::Disk& disk, const std::string& path) {
    TRY(disk.make_directory(path));
    if (::chmod(path.c_str(), 0711) != 0) return core::fail_errno(errno, std::format("chmod {}", path));
    return {};
}

}  // namespace

Images::Images(std::unique_ptr<ImagesImplementation> implementation)
    : implementation_(std::move(implementation)) {}
Images::~Images() = default;

Result<std::unique_ptr<Images>> Images::open(Environment environment, ImagesOptions options) {
    if (!options.directory.starts_with('/'))
        return fail(Errc::kInvalid, "images: the directory must be absolute");
    if (options.platform.os.empty()) options.platform = own_platform();
    TRY_ASSIGN(AddressRules rules, AddressRules::make(options.allowed_addresses, options.node_addresses));
    auto implementation =
        std::make_unique<ImagesImplementation>(std::move(environment), std::move(options), std::move(rules));
    auto loaded = implementation->load();
    if (!loaded) return core::pass(std::move(loaded), "images");
    return std::unique_ptr<Images>(new Images(std::move(implementation)));
}

Task<Result<Image>> Images::ensure_image(ImageRequest request) {
    return implementation_->ensure(std::move(request));
}
Task<Result<Image>> Images::import_archive(std::string path, std::string name) {
    return implementation_->import_archive(std::move(path), std::move(name));
}
std::vector<ImageRow> Images::list() const {
    return implementation_->list();
}
Task<Result<void>> Images::remove(std::string name) {
    return implementation_->remove(std::move(name));
}
Result<Image> Images::hold(const Digest& id) {
    return implementation_->hold(id);
}
void Images::set_node_addresses(const std::vector<std::string>& addresses) {
    implementation_->set_node_addresses(addresses);
}
Task<Result<uint64_t>> Images::collect() {
    return implementation_->collect();
}
Task<Result<void>> Images::fetch(ArtifactRequest request, std::string sandbox) {
    return implementation_->fetch(std::move(request), std::move(sandbox));
}
Task<void> Images::close() {
    return implementation_->close();
}

ImagesImplementation::ImagesImplementation(Images::Environment environment, ImagesOptions options,
                                           AddressRules rules)
    : environment_(std::move(environment)),
      options_(std::move(options)),
      rules_(std::move(rules)),
      connector_(environment_.loop, rules_, options_.insecure_registries),
      scope_(environment_.loop),
      pulls_(environment_.loop, scope_),
      layer_flights_(environment_.loop, scope_),
      unpack_permits_(environment_.loop, kUnpacksAtOnce),
      collected_(environment_.loop) {}

void ImagesImplementation::set_node_addresses(const std::vector<std::string>& addresses) {
    std::vector<std::string> nodes;
    std::ranges::copy_if(addresses, std::back_inserter(nodes),
                         [](const std::string& text) { return IpPrefix::parse(text).has_value(); });
    auto rules = AddressRules::make(options_.allowed_addresses, nodes);
    SMACK_ASSERT(rules.has_value());  // what was allowed was read once before
    rules_ = *std::move(rules);
    connector_.set_rules(rules_);
}

Result<void> ImagesImplementation::load() {
    core::Disk& disk = environment_.disk;
    const std::string& directory = options_.directory;
    TRY(make_open_folder(disk, directory));
    TRY(take_lock());
    TRY(remove_tree(directory + "/tmp"));
    TRY(disk.make_directory(directory + "/tmp"));
    TRY(disk.make_directory(directory + "/names"));
    TRY_ASSIGN(blobs_, storage::BlobStore::open(disk, directory + "/blobs", net::crypto::new_sha256));
    LayerStore::Environment layers{environment_.loop, environment_.workers, disk, options_.program};
    TRY_ASSIGN(layers_, LayerStore::open(std::move(layers), directory + "/layers"));
    TRY(load_salt());
    TRY(load_tls());
    TRY_ASSIGN(const std::vector<std::string> names, disk.list(directory + "/names"));
    for (const std::string& name : names) TRY(load_record(name));
    return {};
}

Result<void> ImagesImplementation::take_lock() {
    const std::string path = options_.directory + "/lock";
    lock_ = FileDescriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!lock_) return core::fail_errno(errno, path);
    if (::flock(lock_.get(), LOCK_EX | LOCK_NB) == 0) return {};
    return fail(Errc::kConflict, "another process has the images in {}", options_.directory);
}

Result<void> ImagesImplementation::load_salt() {
    const std::string path = options_.directory + "/salt";
    auto bytes = core::read_file(environment_.disk, path, kSaltBytes);
    if (bytes && bytes->size() == kSaltBytes) {
        salt_ = std::move(*bytes);
        return {};
    }
    salt_ = net::crypto::random_bytes(kSaltBytes);
    return core::write_file(environment_.disk, path, salt_);
}

/// Without any CA https is refused by each handshake; plain registries and archives work.
Result<void> ImagesImplementation::load_tls() {
    std::string pem;
    for (const std::string& path : {options_.ca_file, options_.extra_ca_file}) {
        if (path.empty()) continue;
        auto text = core::read_file(environment_.disk, path, kCaBytesMax);
        if (!text && path == options_.ca_file && text.error().code == Errc::kNotFound) continue;
        if (!text) return core::pass(std::move(text), path);
        pem += *text + "\n";
    }
    std::shared_ptr<const net::TlsConfig> config;
    if (!pem.empty()) {
        TRY_ASSIGN(config, net::TlsConfig::client(
                               {.ca_pem = pem, .certificate_pem = {}, .key_pem = {}, .alpn = {"http/1.1"}}));
    }
    getter_ =
        std::make_unique<HttpGetter>(environment_.loop, environment_.tls, std::move(config), connector_);
    return {};
}

std::string ImagesImplementation::record_path(const std::string& name) const {
    return std::format("{}/names/{}.json", options_.directory, core::to_hex(net::crypto::sha256(name)));
}

Result<void> ImagesImplementation::save(const ImageRecord& record) {
    return core::write_file(environment_.disk, record_path(record.name), record.to_json().dump());
}

/// One that cannot be used is forgotten: the image is pulled again.
Result<void> ImagesImplementation::load_record(const std::string& file_name) {
    const std::string path = options_.directory + "/names/" + file_name;
    TRY_ASSIGN(const std::string text, core::read_file(environment_.disk, path, kRecordBytesMax));
    auto record = ImageRecord::parse(text);
    Result<core::images::ImageConfig> config = fail(Errc::kCorrupt, "no record");
    if (record) {
        auto bytes = blobs_->read(record->config, core::images::kConfigBytesMax);
        config = bytes ? core::images::parse_image_config(*bytes) : core::pass(std::move(bytes));
    }
    if (!config) {
        environment_.logger.warning("image record dropped",
                                    {{"file", file_name}, {"reason", config.error().message}});
        return environment_.disk.remove(path);
    }
    Stored stored{std::move(*record), std::move(*config), {}};
    stored.references.emplace_back(*blobs_, stored.record.id);
    stored.references.emplace_back(*blobs_, stored.record.config);
    for (const LayerRecord& layer : stored.record.layers)
        stored.references.emplace_back(*blobs_, layer.blob.digest);
    std::string name = stored.record.name;
    records_.insert_or_assign(std::move(name), std::move(stored));
    return {};
}

std::string ImagesImplementation::access_of(const ImageName& name,
                                            const std::optional<RegistryCredentials>& credentials) const {
    if (!credentials) return {};
    const std::string text =
        std::format("{}\n{}\n{}", name.registry, credentials->user, credentials->password);
    return core::to_hex(net::crypto::hmac_sha256(salt_, text));
}

bool ImagesImplementation::complete(const ImageRecord& record) const {
    return std::ranges::all_of(record.layers, [&](const LayerRecord& layer) {
        const UnpackedLayer* unpacked = layers_->find(layer.blob.digest);
        return unpacked != nullptr && unpacked->diff_id == layer.diff_id;
    });
}

ImagesImplementation::Stored* ImagesImplementation::find(const ImageName& name, const std::string& access) {
    auto usable = [&](const Stored& stored) {
        const std::string& needed = stored.record.access;
        return !stored.record.removed && (needed.empty() || needed == access) && complete(stored.record);
    };
    const auto found = records_.find(name.to_string());
    if (found != records_.end() && usable(found->second)) return &found->second;
    if (!name.digest) return nullptr;
    for (auto& [key, stored] : records_) {
        auto other = ImageName::parse(key);
        const bool same = other && other->registry == name.registry && other->repository == name.repository;
        if (same && stored.record.id == *name.digest && usable(stored)) return &stored;
    }
    return nullptr;
}

Image ImagesImplementation::give(Stored& stored) {
    const int64_t now = environment_.clock.wall().unix_ms;
    const bool stale = now - stored.record.used_unix_ms > kUsedSavedEveryMs;
    stored.record.used_unix_ms = now;
    if (stale) {
        auto saved = save(stored.record);  // only the order of removal hangs on it
        if (!saved) environment_.logger.warning("image record", {{"reason", saved.error().message}});
    }
    Image image{stored.record.name, stored.record.id, stored.record.bytes(), {}, stored.config, nullptr};
    auto hold = std::make_shared<Hold>();  // shared with whoever runs from the layers
    for (const LayerRecord& layer : stored.record.layers) {
        image.layers.push_back(layers_->path(layer.blob.digest));
        hold->layers.push_back(layer.blob.digest);
    }
    std::erase_if(holds_, [](const auto& one) { return one.expired(); });
    holds_.emplace_back(hold);
    image.hold = std::move(hold);
    return image;
}

Result<Image> ImagesImplementation::hold(const Digest& id) {
    for (auto& [name, stored] : records_) {
        if (stored.record.id == id && complete(stored.record)) return give(stored);
    }
    return fail(Errc::kNotFound, "no image {} is here", id.to_string());
}

std::vector<ImageRow> ImagesImplementation::list() const {
    std::vector<ImageRow> rows;
    for (const auto& [name, stored] : records_) {
        const ImageRecord& record = stored.record;
        if (record.removed) continue;
        bool held = false;
        for (const auto& weak : holds_) {
            const auto hold = weak.lock();
            held = held || (hold && std::ranges::contains(hold->layers, record.layers.back().blob.digest));
        }
        rows.push_back({name, record.id, record.bytes(), record.layers.size(), record.pulled_unix_ms,
                        record.used_unix_ms, held});
    }
    return rows;
}

Task<void> ImagesImplementation::close() {
    co_await scope_.close();
    for (const auto& [name, stored] : records_) {
        auto saved = save(stored.record);
        if (!saved) environment_.logger.warning("image record", {{"reason", saved.error().message}});
    }
}

}  // namespace smackd::services::images
