#include "services/images/layer_store.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <format>

#include "core/json.h"
#include "services/images/unpacker.h"

namespace smackd::services::images {

using core::Errc;
using core::fail;
using core::Json;
using core::Result;
using core::images::Digest;
using net::Task;

namespace {

constexpr uint64_t kNoteBytesMax = 4096;

Result<UnpackedLayer> read_note(core::Disk& disk, const std::string& path) {
    TRY_ASSIGN(const std::string text, core::read_file(disk, path, kNoteBytesMax));
    TRY_ASSIGN(const Json json, Json::parse(text));
    TRY_ASSIGN(Digest diff_id, Digest::parse(json["diff_id"].as_string()));
    return UnpackedLayer{std::move(diff_id), static_cast<uint64_t>(json["bytes"].as_integer())};
}

Result<void> make_empty(const std::string& path) {
    TRY(remove_tree(path));
    if (::mkdir(path.c_str(), 0755) != 0) return core::fail_errno(errno, std::format("make {}", path));
    if (::chmod(path.c_str(), 0755) != 0) return core::fail_errno(errno, std::format("chmod {}", path));
    return {};
}

}  // namespace

Result<void> remove_tree(const std::string& path) {
    std::error_code error;
    std::filesystem::remove_all(path, error);  // libc++'s opens without following links
    if (error) return core::fail_errno(error.value(), std::format("remove {}", path));
    return {};
}

Result<std::unique_ptr<LayerStore>> LayerStore::open(Environment environment, std::string directory) {
    std::unique_ptr<LayerStore> store(new LayerStore(std::move(environment), std::move(directory)));
    TRY(store->load());
    return store;
}

Result<void> LayerStore::load() {
    core::Disk& disk = environment_.disk;
    TRY(disk.make_directory(directory_));
    // Tasks' mapped root passes through; what may be read in a layer, its own modes say.
    if (::chmod(directory_.c_str(), 0711) != 0)
        return core::fail_errno(errno, std::format("chmod {}", directory_));
    TRY_ASSIGN(const std::vector<std::string> names, disk.list(directory_));
    for (const std::string& name : names) {
        if (name.ends_with(".json")) continue;
        const auto digest = Digest::parse("sha256:" + name);
        auto note = digest ? read_note(disk, path(*digest) + ".json")
                           : Result<UnpackedLayer>(fail(Errc::kNotFound, "-"));
        if (!note) {
            TRY(remove_tree(directory_ + "/" + name));
            continue;
        }
        bytes_ += note->bytes;
        layers_.emplace(*digest, std::move(*note));
    }
    return {};
}

const UnpackedLayer* LayerStore::find(const Digest& blob) const {
    const auto found = layers_.find(blob);
    return found == layers_.end() ? nullptr : &found->second;
}

std::vector<Digest> LayerStore::all() const {
    std::vector<Digest> digests;
    for (const auto& [digest, layer] : layers_) digests.push_back(digest);
    return digests;
}

Task<Result<void>> LayerStore::add(Digest blob, Digest diff_id, std::string archive, uint64_t bytes_max) {
    const std::string target = path(blob);
    const std::string half_done = target + ".tmp";
    net::Loop& loop = environment_.loop;
    core::Callback<Result<void>()> prepare = [&half_done] { return make_empty(half_done); };
    CO_TRY(co_await environment_.workers.run<void>(loop, std::move(prepare)));
    UnpackJob job{UnpackJob::Kind::kLayer, std::move(archive), half_done, bytes_max};
    auto report = co_await unpack(loop, environment_.workers, environment_.program, std::move(job));
    if (report && report->diff_id != diff_id) {
        report = fail(Errc::kCorrupt, "its plain bytes have the digest {}, the image names {}",
                      report->diff_id->to_string(), diff_id.to_string());
    }
    core::Disk& disk = environment_.disk;
    const std::string& directory = directory_;
    core::Callback<Result<void>()> publish = [&]() -> Result<void> {
        if (!report) return remove_tree(half_done);
        const Json note = Json::object().set("diff_id", diff_id.to_string()).set("bytes", report->bytes);
        TRY(core::write_file(disk, target + ".json", note.dump()));
        TRY(disk.rename(half_done, target));
        return disk.sync_directory(directory);
    };
    auto published = co_await environment_.workers.run<void>(loop, std::move(publish));
    if (!report) co_return core::pass(std::move(report), std::format("layer {}", blob.to_string()));
    CO_TRY(std::move(published));
    bytes_ += report->bytes;
    layers_.insert_or_assign(std::move(blob), UnpackedLayer{std::move(diff_id), report->bytes});
    co_return Result<void>();
}

Task<Result<uint64_t>> LayerStore::remove(Digest blob) {
    const auto found = layers_.find(blob);
    if (found == layers_.end()) co_return uint64_t{0};
    const uint64_t freed = found->second.bytes;
    layers_.erase(found);
    bytes_ -= freed;
    const std::string target = path(blob);
    core::Disk& disk = environment_.disk;
    // Out of sight at once; what a crash leaves of the rest goes at the next start.
    core::Callback<Result<void>()> work = [&]() -> Result<void> {
        TRY(disk.rename(target, target + ".gone"));
        TRY(disk.remove(target + ".json"));
        return remove_tree(target + ".gone");
    };
    CO_TRY(co_await environment_.workers.run<void>(environment_.loop, std::move(work)));
    co_return freed;
}

}  // namespace smackd::services::images
