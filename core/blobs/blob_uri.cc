#include "core/blobs/blob_uri.h"

#include <algorithm>
#include <format>

namespace smackd::core::blobs {
namespace {

constexpr std::string_view kDigestBegin = "sha256:";
constexpr std::string_view kFragment = "#sha256=";

bool is_name_character(char c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return letter || std::string_view("._+~@-").contains(c);
}

bool is_component(std::string_view text) {
    return !text.empty() && text.front() != '.' && std::ranges::all_of(text, is_name_character);
}

Result<images::Digest> digest_of(std::string_view hex) {
    auto digest = images::Digest::parse(std::format("{}{}", kDigestBegin, hex));
    if (digest) return digest;
    return fail(Errc::kInvalid, "a SHA-256 must have 64 lower-case hex digits");
}

}  // namespace

Result<void> check_blob_name(std::string_view name) {
    std::string_view rest = name;
    bool good = name.size() <= kBlobNameBytesMax && name.starts_with('/');
    while (good && !rest.empty()) {
        rest.remove_prefix(1);
        const size_t end = std::min(rest.find('/'), rest.size());
        good = is_component(rest.substr(0, end));
        rest.remove_prefix(end);
    }
    if (good) return {};
    return fail(Errc::kInvalid,
                "blob name '{}': must be a path like /team/tool.tgz, of letters, digits and ._+~@- between "
                "slashes, no component beginning with a dot, at most {} bytes",
                name.substr(0, 64), kBlobNameBytesMax);
}

Result<std::string> blob_name_of(std::string_view typed) {
    std::string name(typed.starts_with('/') ? "" : "/");
    name += typed;
    TRY(check_blob_name(name));
    return name;
}

std::string_view file_name_of(std::string_view name) {
    return name.substr(name.rfind('/') + 1);
}

std::string BlobUri::to_string() const {
    if (name.empty()) return std::format("{}{}", kBlobScheme, digest->to_string());
    if (!digest) return std::format("{}{}", kBlobScheme, name);
    return std::format("{}{}{}{}", kBlobScheme, name, kFragment, digest->hex());
}

bool is_blob_uri(std::string_view uri) {
    return uri.starts_with(kBlobScheme);
}

Result<BlobUri> parse_blob_uri(std::string_view uri) {
    if (!is_blob_uri(uri)) return fail(Errc::kInvalid, "must begin with blob:");
    std::string_view rest = uri.substr(kBlobScheme.size());
    const std::string_view place = rest.substr(0, rest.find('#'));
    rest.remove_prefix(place.size());
    BlobUri read;
    if (!rest.empty()) {
        if (!rest.starts_with(kFragment)) return fail(Errc::kInvalid, "the fragment must be #sha256=HEX");
        TRY_ASSIGN(read.digest, digest_of(rest.substr(kFragment.size())));
    }
    if (!place.starts_with(kDigestBegin)) {
        TRY_ASSIGN(read.name, blob_name_of(place));
        return read;
    }
    TRY_ASSIGN(auto digest, digest_of(place.substr(kDigestBegin.size())));
    if (read.digest && *read.digest != digest)
        return fail(Errc::kInvalid, "the fragment is not the blob's digest");
    read.digest = std::move(digest);
    return read;
}

}  // namespace smackd::core::blobs
