#include "core/images/image_name.h"

#include <algorithm>

#include "core/ascii.h"

namespace smackd::core::images {

namespace {

constexpr size_t kNameBytesMax = 512;

bool is_lower_alnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}
bool is_alnum(char c) {
    return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

/// [a-z0-9]+ joined by '.', '_', '__' or dashes (distribution-spec, "Pulling manifests").
bool valid_component(std::string_view text) {
    if (text.empty() || !is_lower_alnum(text.front()) || !is_lower_alnum(text.back())) return false;
    for (size_t at = 0; at < text.size();) {
        if (is_lower_alnum(text[at])) {
            ++at;
            continue;
        }
        const size_t end = std::min(text.find_first_not_of(text[at], at), text.size());
        const size_t length = end - at;
        const bool good =
            text[at] == '-' || (text[at] == '_' && length <= 2) || (text[at] == '.' && length == 1);
        if (!good || !is_lower_alnum(text[end])) return false;
        at = end;
    }
    return true;
}

Result<void> check_repository(std::string_view repository) {
    if (repository.empty() || repository.size() > kRepositoryBytesMax) {
        return fail(Errc::kInvalid, "image: the repository must have 1 to {} bytes", kRepositoryBytesMax);
    }
    for (size_t at = 0; at <= repository.size();) {
        const size_t end = std::min(repository.find('/', at), repository.size());
        if (!valid_component(repository.substr(at, end - at))) {
            return fail(
                Errc::kInvalid,
                "image: components of the repository are lower-case letters and digits, joined by '.', "
                "'_', '__' or '-'");
        }
        at = end + 1;
    }
    return {};
}

Result<void> check_tag(std::string_view tag) {
    auto allowed = [](char c) { return is_alnum(c) || c == '_' || c == '.' || c == '-'; };
    const bool good = !tag.empty() && tag.size() <= kTagBytesMax && tag[0] != '.' && tag[0] != '-' &&
                      std::ranges::all_of(tag, allowed);
    if (good) return {};
    return fail(Errc::kInvalid,
                "image: a tag has 1 to {} of [A-Za-z0-9_.-] and does not begin with '.' or '-'",
                kTagBytesMax);
}

/// HOST or HOST:PORT; "[::1]:5000" too.
Result<void> check_registry(std::string_view registry) {
    std::string_view host = registry;
    std::string_view port = "0";
    const size_t colon = registry.rfind(':');
    const bool bracketed = registry.starts_with('[');
    if (colon != std::string_view::npos && !registry.ends_with(']')) {
        host = registry.substr(0, colon);
        port = registry.substr(colon + 1);
    }
    if (bracketed && host.ends_with(']')) {
        host = host.substr(1, host.size() - 2);
        auto address = [](char c) { return is_lower_alnum(c) || c == ':' || c == '.'; };
        if (!host.empty() && std::ranges::all_of(host, address) && host.find("::") != std::string_view::npos)
            host = "x";
    }
    auto allowed = [](char c) { return is_lower_alnum(c) || c == '.' || c == '-'; };
    const bool good_host = !host.empty() && host.size() <= 253 && std::ranges::all_of(host, allowed) &&
                           is_lower_alnum(host.front()) && is_lower_alnum(host.back()) &&
                           host.find("..") == std::string_view::npos;
    const bool good_port = !port.empty() && port.size() <= 5 &&
                           std::ranges::all_of(port, [](char c) { return c >= '0' && c <= '9'; }) &&
                           std::stoul(std::string(port)) <= 65535;
    if (good_host && good_port) return {};
    return fail(Errc::kInvalid, "image: the registry must be HOST or HOST:PORT");
}

bool looks_like_registry(std::string_view first) {
    return first == "localhost" || first.find_first_of(".:[") != std::string_view::npos;
}

}  // namespace

Result<ImageName> ImageName::parse(std::string_view text) {
    if (text.empty() || text.size() > kNameBytesMax) {
        return fail(Errc::kInvalid, "image: a name has 1 to {} bytes", kNameBytesMax);
    }
    ImageName name;
    if (const size_t at = text.find('@'); at != std::string_view::npos) {
        auto digest = Digest::parse(text.substr(at + 1));
        if (!digest) return pass(std::move(digest), "image");
        name.digest = std::move(*digest);
        text = text.substr(0, at);
    }
    const size_t slash = text.find('/');
    std::string_view rest = text;
    name.registry = kDefaultRegistry;
    if (slash != std::string_view::npos && looks_like_registry(text.substr(0, slash))) {
        name.registry = core::ascii_lower(text.substr(0, slash));
        rest = text.substr(slash + 1);
    }
    if (name.registry == "index.docker.io" || name.registry == "registry-1.docker.io") {
        name.registry = kDefaultRegistry;
    }
    TRY(check_registry(name.registry));
    const size_t colon = rest.find(':');
    if (colon != std::string_view::npos) {
        name.tag = rest.substr(colon + 1);
        rest = rest.substr(0, colon);
        TRY(check_tag(name.tag));
    } else if (!name.digest) {
        name.tag = "latest";
    }
    name.repository = rest;
    if (name.registry == kDefaultRegistry && rest.find('/') == std::string_view::npos) {
        name.repository = "library/" + name.repository;
    }
    TRY(check_repository(name.repository));
    return name;
}

std::string ImageName::to_string() const {
    std::string text = registry + "/" + repository;
    if (!tag.empty()) text += ":" + tag;
    if (digest) text += "@" + digest->to_string();
    return text;
}

std::string ImageName::api_host() const {
    return registry == kDefaultRegistry ? "registry-1.docker.io" : registry;
}

}  // namespace smackd::core::images
