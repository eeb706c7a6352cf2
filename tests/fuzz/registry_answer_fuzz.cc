// What registries and image archives say: manifests, indexes, configs, challenges, tokens, names. The first
// byte chooses. No crash; what is accepted keeps the limits, and a name's normal form is its own normal form.
#include <cstdlib>

#include "core/images/archive_layout.h"
#include "core/images/image_config.h"
#include "core/images/image_name.h"
#include "core/images/manifest.h"
#include "core/images/registry_auth.h"

using namespace smackd::core;
using namespace smackd::core::images;

namespace {

void check(bool holds) {
    if (!holds) std::abort();
}

void manifest(std::string_view text) {
    auto document = parse_manifest("", text);
    if (!document) return;
    if (const auto* index = std::get_if<Index>(&*document)) {
        auto chosen = choose_platform(*index, {"linux", "amd64", ""});
        check(!index->manifests.empty() && index->manifests.size() <= kIndexEntriesMax);
        return;
    }
    const auto& image = std::get<Manifest>(*document);
    check(image.config.size <= kConfigBytesMax && !image.layers.empty() && image.layers.size() <= kLayersMax);
    for (const Descriptor& layer : image.layers)
        check(layer.size <= kBlobBytesMax && layer.digest.hex().size() == 64);
    auto again = parse_manifest("", make_manifest(image));
    check(again.has_value() || image.config.media_type.empty());
}

void config(std::string_view text) {
    auto found = parse_image_config(text);
    if (!found) return;
    check(found->working_directory.starts_with('/') &&
          found->working_directory.find("/../") == std::string::npos);
    for (const std::string& variable : found->environment) check(variable.find('=') != std::string::npos);
    for (const std::string& word : found->entrypoint) check(word.find('\0') == std::string::npos);
}

void name(std::string_view text) {
    auto found = ImageName::parse(text);
    if (!found) return;
    const std::string normal = found->to_string();
    check(found->repository.find("..") == std::string::npos &&
          normal.find_first_of(" \r\n\t%?#\\") == std::string::npos);
    auto again = ImageName::parse(normal);
    check(again.has_value() && *again == *found);
}

void signing_in(std::string_view text) {
    auto challenges = parse_challenges(text);
    auto token = parse_token_answer(text);
    if (!token) return;
    check(token->life_seconds >= 0 && token->life_seconds <= kTokenLifeMaxSeconds && !token->token.empty());
    check(token->token.find_first_of("\r\n ") == std::string::npos);
}

void archives(std::string_view text) {
    auto archive = parse_docker_archive(text);
    if (archive) check(("/" + archive->config + "/").find("/../") == std::string::npos);
    check(registry_error_text(text).size() <= 200);
    static_cast<void>(oci_layout_name(text));
    static_cast<void>(check_oci_layout(text).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    constexpr void (*kReaders[])(std::string_view) = {manifest, config, name, signing_in, archives};
    kReaders[data[0] % 5](text);
    return 0;
}
