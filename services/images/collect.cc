// ImagesImplementation: forgetting images, and staying below the size limit.
#include <algorithm>
#include <format>

#include "services/images/images_implementation.h"

namespace smackd::services::images {

using core::Errc;
using core::fail;
using core::Result;
using core::images::Digest;
using core::images::ImageName;
using net::Task;

std::set<Digest> ImagesImplementation::held_layers() {
    std::set<Digest> held;
    std::erase_if(holds_, [](const auto& one) { return one.expired(); });
    for (const auto& weak : holds_) {
        if (const auto hold = weak.lock()) held.insert(hold->layers.begin(), hold->layers.end());
    }
    return held;
}

Task<Result<void>> ImagesImplementation::remove(std::string name) {
    CO_TRY_ASSIGN(const ImageName parsed, ImageName::parse(name));
    const auto found = records_.find(parsed.to_string());
    if (found == records_.end() || found->second.record.removed) {
        co_return fail(Errc::kNotFound, "no image {} is here", parsed.to_string());
    }
    const std::set<Digest> held = held_layers();
    ImageRecord& record = found->second.record;
    const bool in_use = std::ranges::any_of(
        record.layers, [&](const LayerRecord& layer) { return held.contains(layer.blob.digest); });
    if (in_use) {
        // hold() must find it again after a restart; collect_now() forgets it later.
        record.removed = true;
        CO_TRY(save(record));
    } else {
        CO_TRY(environment_.disk.remove(record_path(record.name)));
        records_.erase(found);
    }
    co_return (co_await collect()).transform([](uint64_t) {});
}

Task<Result<uint64_t>> ImagesImplementation::collect() {
    while (collecting_) CO_TRY(co_await collected_.wait());
    if (!pulls_.empty()) {
        collect_due_ = true;  // they take what they find to be there; the next that ends calls again
        co_return uint64_t{0};
    }
    collecting_ = true;
    collected_.reset();
    auto freed = co_await collect_now();
    collecting_ = false;
    collected_.set();
    co_return freed;
}

Task<void> ImagesImplementation::collect_when_over() {
    // The pull that asked for it ends first.
    auto turned = co_await net::sleep(environment_.loop, core::milliseconds(1));
    if (!turned) co_return;
    auto freed = co_await collect();
    if (!freed) environment_.logger.warning("image collection", {{"reason", freed.error().message}});
}

/// Layers that no record names and nobody holds.
Task<Result<uint64_t>> ImagesImplementation::drop_unused_layers() {
    std::set<Digest> wanted = held_layers();
    for (const auto& [name, stored] : records_) {
        for (const LayerRecord& layer : stored.record.layers) wanted.insert(layer.blob.digest);
    }
    uint64_t freed = 0;
    for (const Digest& digest : layers_->all()) {
        if (wanted.contains(digest)) continue;
        CO_TRY_ASSIGN(const uint64_t bytes, co_await layers_->remove(digest));
        freed += bytes;
    }
    co_return freed;
}

/// The image used longest ago that nothing runs from.
const std::string* ImagesImplementation::oldest_unheld(const std::set<Digest>& held) const {
    const Stored* oldest = nullptr;
    for (const auto& [name, stored] : records_) {
        const bool in_use = std::ranges::any_of(
            stored.record.layers, [&](const LayerRecord& layer) { return held.contains(layer.blob.digest); });
        if (in_use) continue;
        if (oldest == nullptr || stored.record.removed ||
            stored.record.used_unix_ms < oldest->record.used_unix_ms)
            oldest = &stored;
        if (stored.record.removed) break;
    }
    return oldest == nullptr ? nullptr : &oldest->record.name;
}

Task<Result<uint64_t>> ImagesImplementation::collect_now() {
    const uint64_t before = bytes();
    for (;;) {
        CO_TRY(co_await drop_unused_layers());
        core::Callback<Result<uint64_t>()> blobs = [&] { return blobs_->collect(); };
        CO_TRY(co_await environment_.workers.run<uint64_t>(environment_.loop, std::move(blobs)));
        const std::string* oldest = oldest_unheld(held_layers());
        const bool forgotten = oldest != nullptr && records_.at(*oldest).record.removed;
        if (bytes() <= options_.size_limit && !forgotten) break;
        // First what can be fetched again without anybody waiting: compressed blobs of layers that are
        // unpacked.
        bool dropped = false;
        for (const Digest& digest : forgotten ? std::vector<Digest>() : layers_->all()) {
            if (!blobs_->has(digest) || bytes() <= options_.size_limit) continue;
            CO_TRY(blobs_->remove(digest));
            dropped = true;
        }
        if (dropped) continue;
        if (oldest == nullptr) break;  // all that is left is in use
        environment_.logger.info("image removed for space", {{"name", *oldest}});
        CO_TRY(environment_.disk.remove(record_path(*oldest)));
        records_.erase(*oldest);
    }
    co_return before - std::min(before, bytes());
}

}  // namespace smackd::services::images
