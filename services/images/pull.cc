// ImagesImplementation: from a name, or an archive, to unpacked layers.
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <format>

#include "services/images/images_implementation.h"
#include "services/images/unpacker.h"

namespace smackd::services::images {

using core::Errc;
using core::fail;
using core::Result;
using core::images::Descriptor;
using core::images::Digest;
using core::images::ImageName;
using core::images::Index;
using core::images::Manifest;
using net::Task;
using storage::BlobStore;
using storage::BlobWriter;

struct ImagesImplementation::Arrival {
    Arrival(net::Loop& loop, ImageName of, std::shared_ptr<ProgressFeed> to)
        : name(std::move(of)), feed(std::move(to)), ended(loop) {}
    ImageName name;
    std::shared_ptr<ProgressFeed> feed;  // listened to by all who wait
    std::unique_ptr<RegistrySession> session;
    std::optional<Digest> id;
    std::optional<Manifest> manifest;
    core::images::ImageConfig config;
    std::vector<BlobStore::Reference> references;
    size_t next_layer = 0;
    size_t running = 0;
    std::optional<core::Error> error;  // the first
    net::Event ended;
};

Task<Result<Image>> ImagesImplementation::ensure(ImageRequest request) {
    CO_TRY_ASSIGN(ImageName name, ImageName::parse(request.name));
    std::string access = access_of(name, request.credentials);
    if (Stored* stored = request.force ? nullptr : find(name, access)) co_return give(*stored);
    const std::string key = std::format("{}\n{}", name.to_string(), access);
    std::shared_ptr<ProgressFeed> feed = feeds_[key].lock();
    if (!feed) feed = std::make_shared<ProgressFeed>(environment_.clock);
    feeds_[key] = feed;
    std::erase_if(feeds_, [](const auto& entry) { return entry.second.expired(); });
    ProgressFeed::Listener listener(feed, std::move(request.progress));
    core::Callback<Task<Result<Image>>()> begin = [&] {
        return pull(std::move(name), std::move(request.credentials), std::move(access), feed);
    };
    co_return co_await pulls_.run(key, std::move(begin));
}

Task<Result<Image>> ImagesImplementation::pull(ImageName name, std::optional<RegistryCredentials> credentials,
                                               std::string access, std::shared_ptr<ProgressFeed> feed) {
    while (collecting_) CO_TRY(co_await collected_.wait());
    auto arrival =
        std::make_shared<Arrival>(environment_.loop, name, std::move(feed));  // its layers' tasks share it
    const auto& insecure = options_.insecure_registries;
    const bool plain = std::ranges::contains(insecure, name.registry);
    RegistrySession::Environment environment{*getter_, environment_.workers, environment_.clock};
    arrival->session = std::make_unique<RegistrySession>(environment, name, plain, std::move(credentials));
    arrival->feed->tell();
    CO_TRY(co_await resolve(*arrival));
    CO_TRY(co_await bring_layers(arrival));
    if (!arrival->session->used_credentials()) access.clear();
    auto image = keep(*arrival, std::move(access));
    arrival->feed->now().step = PullProgress::Step::kDone;
    arrival->feed->tell();
    if (bytes() > options_.size_limit || std::exchange(collect_due_, false))
        scope_.spawn(collect_when_over());
    co_return image;
}

/// Manifest, chosen by platform where there are several, and config.
Task<Result<void>> ImagesImplementation::resolve(Arrival& arrival) {
    CO_TRY_ASSIGN(ManifestAnswer answer, co_await arrival.session->manifest(arrival.name.reference()));
    auto document = core::images::parse_manifest(answer.media_type, answer.body);
    if (document && std::holds_alternative<Index>(*document)) {
        auto chosen = core::images::choose_platform(std::get<Index>(*document), options_.platform);
        if (!chosen) co_return core::pass(std::move(chosen), arrival.name.to_string());
        CO_TRY_ASSIGN(answer, co_await arrival.session->manifest(chosen->digest.to_string()));
        document = core::images::parse_manifest(answer.media_type, answer.body);
    }
    if (!document) co_return core::pass(std::move(document), arrival.name.to_string());
    auto* manifest = std::get_if<Manifest>(&*document);
    if (manifest == nullptr)
        co_return fail(Errc::kInvalid, "{}: an index in an index", arrival.name.to_string());
    arrival.id = answer.digest;
    arrival.manifest = std::move(*manifest);
    arrival.references.emplace_back(*blobs_, answer.digest);
    arrival.references.emplace_back(*blobs_, arrival.manifest->config.digest);
    for (const Descriptor& layer : arrival.manifest->layers)
        arrival.references.emplace_back(*blobs_, layer.digest);
    core::Callback<Result<Digest>()> put = [&] { return blobs_->put(answer.body); };
    CO_TRY(co_await environment_.workers.run<Digest>(environment_.loop, std::move(put)));
    CO_TRY(co_await bring_blob(arrival, arrival.manifest->config));
    co_return co_await read_config(arrival);
}

Task<Result<void>> ImagesImplementation::read_config(Arrival& arrival) {
    const Digest digest = arrival.manifest->config.digest;
    core::Callback<Result<core::Bytes>()> read = [&] {
        return blobs_->read(digest, core::images::kConfigBytesMax);
    };
    CO_TRY_ASSIGN(const core::Bytes text,
                  co_await environment_.workers.run<core::Bytes>(environment_.loop, std::move(read)));
    auto config = core::images::parse_image_config(text);
    if (!config) co_return core::pass(std::move(config), arrival.name.to_string());
    const core::images::Platform& own = options_.platform;
    if (config->os != own.os || config->architecture != own.architecture) {
        co_return fail(Errc::kUnsupported, "{} is for {}/{}, this machine is {}", arrival.name.to_string(),
                       config->os, config->architecture, own.to_string());
    }
    if (config->diff_ids.size() != arrival.manifest->layers.size()) {
        co_return fail(Errc::kInvalid, "{}: the config names {} layers, the manifest {}",
                       arrival.name.to_string(), config->diff_ids.size(), arrival.manifest->layers.size());
    }
    arrival.config = std::move(*config);
    co_return Result<void>();
}

Task<Result<void>> ImagesImplementation::bring_layers(std::shared_ptr<Arrival> arrival) {
    PullProgress& progress = arrival->feed->now();
    progress.step = PullProgress::Step::kPulling;
    progress.layers = arrival->manifest->layers.size();
    for (const Descriptor& layer : arrival->manifest->layers) {
        if (!blobs_->has(layer.digest) && layers_->find(layer.digest) == nullptr)
            progress.bytes += layer.size;
    }
    arrival->feed->tell();
    arrival->running = std::min(kLayersAtOnce, arrival->manifest->layers.size());
    for (size_t count = arrival->running; count > 0; --count) scope_.spawn(bring_next_layers(arrival));
    // Waited for even when cancelled: they use the same arrival, and end by the same scope.
    while (arrival->running > 0) {
        auto waited = co_await arrival->ended.wait();
        if (!waited) co_return waited;
    }
    if (arrival->error) co_return std::unexpected(*arrival->error);
    co_return Result<void>();
}

Task<void> ImagesImplementation::bring_next_layers(std::shared_ptr<Arrival> arrival) {
    while (!arrival->error && arrival->next_layer < arrival->manifest->layers.size()) {
        const size_t number = arrival->next_layer++;
        const LayerRecord layer{arrival->manifest->layers[number], arrival->config.diff_ids[number]};
        const std::string key = layer.blob.digest.hex() + layer.diff_id.hex();
        core::Callback<Task<Result<void>>()> begin = [&] { return bring_layer(arrival, number); };
        auto done = co_await layer_flights_.run(key, std::move(begin));
        if (!done && !arrival->error)
            arrival->error = std::move(done.error()).wrap(arrival->name.to_string());
        ++arrival->feed->now().layers_done;
        arrival->feed->tell();
    }
    if (--arrival->running == 0) arrival->ended.set();
}

Task<Result<void>> ImagesImplementation::bring_layer(std::shared_ptr<Arrival> arrival, size_t number) {
    const Descriptor blob = arrival->manifest->layers[number];
    const Digest diff_id = arrival->config.diff_ids[number];
    if (const UnpackedLayer* there = layers_->find(blob.digest)) {
        if (there->diff_id == diff_id) co_return Result<void>();
        co_return fail(Errc::kCorrupt, "layer {}: its plain bytes have the digest {}, the image names {}",
                       blob.digest.to_string(), there->diff_id.to_string(), diff_id.to_string());
    }
    CO_TRY(co_await bring_blob(*arrival, blob));
    CO_TRY(co_await unpack_permits_.acquire());
    net::Semaphore::Permit permit(unpack_permits_);
    co_return co_await layers_->add(blob.digest, diff_id, blobs_->path(blob.digest),
                                    options_.image_bytes_max);
}

Task<Result<void>> ImagesImplementation::bring_blob(Arrival& arrival, Descriptor blob) {
    if (const auto size = blobs_->size(blob.digest)) {
        if (*size == blob.size) co_return Result<void>();
        co_return fail(Errc::kInvalid, "blob {}: the manifest gives {} bytes, it has {}",
                       blob.digest.to_string(), blob.size, *size);
    }
    if (!arrival.session)
        co_return fail(Errc::kNotFound, "blob {} is not in the archive", blob.digest.to_string());
    net::Loop& loop = environment_.loop;
    using Owned = std::unique_ptr<BlobWriter>;
    core::Callback<Result<Owned>()> open = [&] { return blobs_->write(blob.digest, blob.size); };
    CO_TRY_ASSIGN(const Owned writer, co_await environment_.workers.run<Owned>(loop, std::move(open)));
    arrival.feed->add_bytes(writer->size());
    core::Callback<void(size_t)> came = [&](size_t count) { arrival.feed->add_bytes(count); };
    CO_TRY(co_await arrival.session->fetch_blob(blob, *writer, came));
    core::Callback<Result<Digest>()> commit = [&] { return writer->commit(); };
    auto committed = co_await environment_.workers.run<Digest>(loop, std::move(commit));
    co_return committed.transform([](const Digest&) {});
}

Result<Image> ImagesImplementation::keep(Arrival& arrival, std::string access) {
    const int64_t now = environment_.clock.wall().unix_ms;
    const std::string name = arrival.name.to_string();
    ImageRecord record{name, *arrival.id, arrival.manifest->config.digest, {}, now, now, std::move(access),
                       false};
    for (size_t i = 0; i < arrival.manifest->layers.size(); ++i) {
        record.layers.push_back({arrival.manifest->layers[i], arrival.config.diff_ids[i]});
    }
    TRY(save(record));
    Stored stored{std::move(record), arrival.config, std::move(arrival.references)};
    const auto [at, inserted] = records_.insert_or_assign(name, std::move(stored));
    environment_.logger.info(
        "image", {{"name", name}, {"id", arrival.id->to_string()}, {"bytes", at->second.record.bytes()}});
    return give(at->second);
}

Task<Result<Image>> ImagesImplementation::import_archive(std::string path, std::string name) {
    const std::string key = "import\n" + path + "\n" + name;
    core::Callback<Task<Result<Image>>()> begin = [&] { return import_one(path, name); };
    co_return co_await pulls_.run(key, std::move(begin));
}

Task<Result<Image>> ImagesImplementation::import_one(std::string path, std::string name) {
    while (collecting_) CO_TRY(co_await collected_.wait());
    CO_TRY_ASSIGN(ImportedImage imported, co_await read_archive(path));
    if (name.empty()) name = imported.name;
    if (name.empty()) co_return fail(Errc::kInvalid, "{} does not name its image; give a name", path);
    CO_TRY_ASSIGN(ImageName parsed, ImageName::parse(name));
    auto feed = std::make_shared<ProgressFeed>(environment_.clock);
    auto arrival = std::make_shared<Arrival>(environment_.loop, std::move(parsed), std::move(feed));
    arrival->id = imported.id;
    arrival->manifest = std::move(imported.manifest);
    arrival->references = std::move(imported.references);
    CO_TRY(co_await read_config(*arrival));
    CO_TRY(co_await bring_layers(arrival));
    co_return keep(*arrival, "");
}

/// A file is unpacked first, in the child: its tar is as foreign as a layer's.
Task<Result<ImportedImage>> ImagesImplementation::read_archive(std::string path) {
    net::Loop& loop = environment_.loop;
    struct stat about{};
    if (::stat(path.c_str(), &about) != 0) co_return core::fail_errno(errno, path);
    const bool is_folder = S_ISDIR(about.st_mode);
    const std::string temporary = std::format("{}/tmp/import-{}", options_.directory, ++temporary_);
    Result<UnpackReport> unpacked;
    if (!is_folder) {
        CO_TRY(environment_.disk.make_directory(temporary));
        UnpackJob job{UnpackJob::Kind::kTar, path, temporary, options_.image_bytes_max};
        unpacked = co_await unpack(loop, environment_.workers, options_.program, std::move(job));
    }
    Result<ImportedImage> imported = std::unexpected(unpacked ? core::Error() : unpacked.error());
    if (unpacked) {
        const std::string& folder = is_folder ? path : temporary;
        core::Callback<Result<ImportedImage>()> work = [&] {
            return import_folder(folder, options_.platform, *blobs_);
        };
        imported = co_await environment_.workers.run<ImportedImage>(loop, std::move(work));
    }
    if (!imported) imported = core::pass(std::move(imported), path);
    core::Callback<Result<void>()> tidy = [&] { return remove_tree(temporary); };
    CO_TRY(co_await environment_.workers.run<void>(loop, std::move(tidy)));
    co_return imported;
}

}  // namespace smackd::services::images
