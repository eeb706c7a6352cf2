#include "core/images/archive_layout.h"

#include "core/archive/path.h"
#include "core/json.h"

namespace smackd::core::images {

namespace {

Result<std::string> checked_path(std::string_view field, const Json& json) {
    auto components = archive::split_path(json.as_string());
    if (!components || components->empty())
        return fail(Errc::kInvalid, "manifest.json: {} is no path", field);
    return archive::join_path(*components);
}

Json descriptor_json(const Descriptor& descriptor) {
    return Json::object()
        .set("mediaType", descriptor.media_type)
        .set("digest", descriptor.digest.to_string())
        .set("size", descriptor.size);
}

}  // namespace

Result<DockerArchiveImage> parse_docker_archive(std::string_view text) {
    auto json = Json::parse(text);
    if (!json) return pass(std::move(json), "manifest.json");
    const Json::Array& images = json->as_array();
    if (images.size() != 1) {
        return fail(Errc::kInvalid, "manifest.json: must hold exactly one image, not {}", images.size());
    }
    DockerArchiveImage image;
    TRY_ASSIGN(image.config, checked_path("Config", images[0]["Config"]));
    const Json::Array& layers = images[0]["Layers"].as_array();
    if (layers.empty() || layers.size() > kLayersMax) {
        return fail(Errc::kInvalid, "manifest.json: Layers must have 1 to {} elements", kLayersMax);
    }
    for (const Json& layer : layers) {
        TRY_ASSIGN(std::string path, checked_path("Layers", layer));
        image.layers.push_back(std::move(path));
    }
    for (const Json& name : images[0]["RepoTags"].as_array()) image.names.push_back(name.as_string());
    return image;
}

Result<void> check_oci_layout(std::string_view text) {
    auto json = Json::parse(text);
    if (!json) return pass(std::move(json), "oci-layout");
    const std::string& version = (*json)["imageLayoutVersion"].as_string();
    if (version.starts_with("1.")) return {};
    return fail(Errc::kUnsupported, "oci-layout: version '{}' is not known", version.substr(0, 20));
}

std::string oci_layout_name(std::string_view index) {
    auto json = Json::parse(index);
    if (!json || (*json)["manifests"].as_array().empty()) return {};
    const Json& annotations = (*json)["manifests"].as_array()[0]["annotations"];
    for (const char* key : {"io.containerd.image.name", "org.opencontainers.image.ref.name"}) {
        const std::string& name = annotations[key].as_string();
        if (name.find_first_of(":/") != std::string::npos) return name;
    }
    return {};
}

std::string make_manifest(const Manifest& manifest) {
    Json layers = Json::array();
    for (const Descriptor& layer : manifest.layers) layers.push(descriptor_json(layer));
    return Json::object()
        .set("schemaVersion", 2)
        .set("mediaType", kOciManifest)
        .set("config", descriptor_json(manifest.config))
        .set("layers", std::move(layers))
        .dump();
}

}  // namespace smackd::core::images
