#include "services/images/image_record.h"

namespace smackd::services::images {

using core::Errc;
using core::fail;
using core::Json;
using core::Result;
using core::images::Digest;

namespace {

Result<Digest> digest_of(const Json& json, std::string_view member) {
    auto digest = Digest::parse(json[member].as_string());
    if (!digest) return fail(Errc::kCorrupt, "record: {}", member);
    return digest;
}

Result<LayerRecord> parse_layer(const Json& json) {
    TRY_ASSIGN(Digest digest, digest_of(json, "digest"));
    TRY_ASSIGN(Digest diff_id, digest_of(json, "diff_id"));
    const int64_t size = json["size"].as_integer(-1);
    if (size < 0) return fail(Errc::kCorrupt, "record: size");
    return LayerRecord{{json["media_type"].as_string(), std::move(digest), static_cast<uint64_t>(size)},
                       std::move(diff_id)};
}

}  // namespace

uint64_t ImageRecord::bytes() const {
    uint64_t sum = 0;
    for (const LayerRecord& layer : layers) sum += layer.blob.size;
    return sum;
}

Json ImageRecord::to_json() const {
    Json list = Json::array();
    for (const LayerRecord& layer : layers) {
        list.push(Json::object()
                      .set("digest", layer.blob.digest.to_string())
                      .set("media_type", layer.blob.media_type)
                      .set("size", layer.blob.size)
                      .set("diff_id", layer.diff_id.to_string()));
    }
    return Json::object()
        .set("name", name)
        .set("id", id.to_string())
        .set("config", config.to_string())
        .set("layers", std::move(list))
        .set("pulled_unix_ms", pulled_unix_ms)
        .set("used_unix_ms", used_unix_ms)
        .set("access", access)
        .set("removed", removed);
}

Result<ImageRecord> ImageRecord::parse(std::string_view text) {
    TRY_ASSIGN(const Json json, Json::parse(text));
    TRY_ASSIGN(Digest id, digest_of(json, "id"));
    TRY_ASSIGN(Digest config, digest_of(json, "config"));
    ImageRecord record{json["name"].as_string(),
                       std::move(id),
                       std::move(config),
                       {},
                       json["pulled_unix_ms"].as_integer(),
                       json["used_unix_ms"].as_integer(),
                       json["access"].as_string(),
                       json["removed"].as_bool()};
    for (const Json& element : json["layers"].as_array()) {
        TRY_ASSIGN(LayerRecord layer, parse_layer(element));
        record.layers.push_back(std::move(layer));
    }
    if (record.name.empty() || record.layers.empty())
        return fail(Errc::kCorrupt, "record: name or layers are missing");
    return record;
}

}  // namespace smackd::services::images
