#include "core/images/manifest.h"

#include <format>
#include <optional>

#include "core/json.h"
#include "core/planted.h"

namespace smackd::core::images {

namespace {

constexpr std::string_view kSchema1 = "application/vnd.docker.distribution.manifest.v1";

/// "application/json; charset=utf-8" without what follows the type.
std::string_view bare_type(std::string_view type) {
    type = type.substr(0, type.find(';'));
    while (type.ends_with(' ')) type.remove_suffix(1);
    return type;
}

Result<Descriptor> parse_descriptor(std::string_view field, const Json& json, uint64_t size_max) {
    if (!json.is_object()) return fail(Errc::kInvalid, "{}: must be an object", field);
    auto digest = Digest::parse(json["digest"].as_string());
    if (!digest) return pass(std::move(digest), field);
    const Json& size = json["size"];
    if (!size.is_integer() || size.as_integer() < 0) {
        return fail(Errc::kInvalid, "{}.size: must be a whole number of bytes", field);
    }
    const auto bytes = static_cast<uint64_t>(size.as_integer());
    if (bytes > size_max && !SMACK_BUG("fuzz_registry_answer")) {
        return fail(Errc::kInvalid, "{}.size: {} bytes are more than the {} allowed", field, bytes, size_max);
    }
    return Descriptor{json["mediaType"].as_string(), std::move(*digest), bytes};
}

Result<ManifestDocument> parse_image(const Json& json) {
    if (json["config"].is_null()) return fail(Errc::kInvalid, "manifest: config is missing");
    TRY_ASSIGN(Descriptor config, parse_descriptor("manifest.config", json["config"], kConfigBytesMax));
    const std::string& type = config.media_type;
    if (!type.empty() && !type.starts_with("application/vnd.oci.image.config.") &&
        !type.starts_with("application/vnd.docker.container.image.")) {
        return fail(Errc::kUnsupported, "manifest: this is an artifact, not an image");
    }
    const Json::Array& layers = json["layers"].as_array();
    if (layers.empty() || layers.size() > kLayersMax) {
        return fail(Errc::kInvalid, "manifest.layers: must have 1 to {} elements", kLayersMax);
    }
    Manifest manifest{std::move(config), {}};
    for (size_t i = 0; i < layers.size(); ++i) {
        TRY_ASSIGN(Descriptor layer,
                   parse_descriptor(std::format("manifest.layers[{}]", i), layers[i], kBlobBytesMax));
        manifest.layers.push_back(std::move(layer));
    }
    return ManifestDocument(std::move(manifest));
}

Result<ManifestDocument> parse_index(const Json& json) {
    const Json::Array& entries = json["manifests"].as_array();
    if (entries.empty() || entries.size() > kIndexEntriesMax) {
        return fail(Errc::kInvalid, "index.manifests: must have 1 to {} elements", kIndexEntriesMax);
    }
    Index index;
    for (size_t i = 0; i < entries.size(); ++i) {
        TRY_ASSIGN(Descriptor manifest,
                   parse_descriptor(std::format("index.manifests[{}]", i), entries[i], kManifestBytesMax));
        const Json& platform = entries[i]["platform"];
        index.manifests.push_back({std::move(manifest),
                                   {platform["os"].as_string(), platform["architecture"].as_string(),
                                    platform["variant"].as_string()}});
    }
    return ManifestDocument(std::move(index));
}

Result<void> check_type(std::string_view type) {
    if (type.starts_with(kSchema1)) {
        return fail(Errc::kUnsupported, "manifest: Docker schema 1 is not supported; push the image anew");
    }
    const bool known =
        type == kOciManifest || type == kOciIndex || type == kDockerManifest || type == kDockerList;
    if (known || type.empty() || type == "application/json") return {};
    return fail(Errc::kUnsupported, "manifest: media type '{}' is no image", type.substr(0, 100));
}

}  // namespace

std::string accepted_manifests() {
    return std::format("{}, {}, {}, {}", kOciIndex, kOciManifest, kDockerList, kDockerManifest);
}

std::string Platform::to_string() const {
    std::string text = os + "/" + architecture;
    return variant.empty() ? text : text + "/" + variant;
}

Result<ManifestDocument> parse_manifest(std::string_view content_type, std::string_view text) {
    if (text.size() > kManifestBytesMax) {
        return fail(Errc::kInvalid, "manifest: longer than {} bytes", kManifestBytesMax);
    }
    auto json = Json::parse(text);
    if (!json) return pass(std::move(json), "manifest");
    const Json& document = *json;
    if (!document.is_object()) return fail(Errc::kInvalid, "manifest: must be an object");
    const Json& version = document["schemaVersion"];
    if (version == Json(1)) TRY(check_type(kSchema1));
    if (version != Json(2)) return fail(Errc::kInvalid, "manifest.schemaVersion: must be 2");
    const std::string_view outside = bare_type(content_type);
    const std::string& inside = document["mediaType"].as_string();
    TRY(check_type(outside));
    TRY(check_type(inside));
    const bool told = !outside.empty() && outside != "application/json";
    if (told && !inside.empty() && outside != inside) {
        return fail(Errc::kInvalid, "manifest.mediaType: '{}' is not what the registry called it", inside);
    }
    // A document that can be read both ways (CVE-2021-41190) is refused.
    const bool has_layers = document.find("layers") != nullptr || document.find("config") != nullptr;
    const bool has_manifests = document.find("manifests") != nullptr;
    if (has_layers == has_manifests) {
        return fail(Errc::kInvalid, "manifest: must have either config and layers, or manifests");
    }
    const std::string_view type = inside.empty() ? outside : std::string_view(inside);
    const bool index_type = type == kOciIndex || type == kDockerList;
    const bool image_type = type == kOciManifest || type == kDockerManifest;
    if ((index_type && has_layers) || (image_type && has_manifests)) {
        return fail(Errc::kInvalid, "manifest.mediaType: '{}' does not fit what is in it", type);
    }
    return has_manifests ? parse_index(document) : parse_image(document);
}

Result<Descriptor> choose_platform(const Index& index, const Platform& wanted) {
    const IndexEntry* best = nullptr;
    std::string seen;
    for (const IndexEntry& entry : index.manifests) {
        const Platform& platform = entry.platform;
        if (platform.os == "unknown") continue;
        if (seen.size() < 200) seen += (seen.empty() ? "" : ", ") + platform.to_string();
        if (platform.os != wanted.os || platform.architecture != wanted.architecture) continue;
        if (platform.variant == wanted.variant) return entry.manifest;
        if (best == nullptr && (platform.variant.empty() || wanted.variant.empty())) best = &entry;
    }
    if (best != nullptr) return best->manifest;
    return fail(Errc::kNotFound, "the image has nothing for {}; it has {}", wanted.to_string(),
                seen.empty() ? "no platform at all" : seen);
}

}  // namespace smackd::core::images
