#include "services/images/artifact.h"

#include <algorithm>
#include <format>

#include "core/archive/path.h"
#include "services/images/url.h"

namespace smackd::services::images {

using core::Errc;
using core::fail;
using core::Result;
using core::images::Digest;

namespace {

constexpr std::string_view kTarEndings[] = {".tar", ".tar.gz", ".tgz", ".tar.zst"};
constexpr std::string_view kZipEndings[] = {".zip"};
constexpr std::string_view kUnreadableEndings[] = {".tar.xz", ".txz", ".tar.bz2", ".tbz2"};

std::unexpected<core::Error> bad_uri(std::string_view rule) {
    return fail(Errc::kInvalid, "fetch.uri: {}", rule);
}

ArtifactPlan::Archive archive_of(std::string_view name) {
    auto ends = [&](std::string_view ending) {
        return name.size() > ending.size() && name.ends_with(ending);
    };
    if (std::ranges::any_of(kTarEndings, ends)) return ArtifactPlan::Archive::kTar;
    if (std::ranges::any_of(kZipEndings, ends)) return ArtifactPlan::Archive::kZip;
    return ArtifactPlan::Archive::kNone;
}

/// What Mesos unpacks and we do not: a task must not start with the archive instead of what is in it.
bool is_unreadable_archive(std::string_view name) {
    return std::ranges::any_of(kUnreadableEndings,
                               [&](std::string_view ending) { return name.ends_with(ending); });
}

/// "#sha256=HEX"; other fragments mean nothing to a server and are refused, lest a typing error switches the
/// check off.
Result<std::optional<Digest>> checksum_of(std::string_view fragment) {
    constexpr std::string_view kName = "sha256=";
    if (fragment.empty()) return std::nullopt;
    if (!fragment.starts_with(kName)) return bad_uri("the fragment must be #sha256=HEX");
    auto digest = Digest::parse("sha256:" + std::string(fragment.substr(kName.size())));
    if (!digest) return bad_uri("#sha256= must be followed by 64 lower-case hex digits");
    return std::optional(std::move(*digest));
}

/// The last component of a URL's path, escapes decoded.
Result<std::string> last_component(std::string_view target) {
    std::string_view path = target.substr(0, target.find('?'));
    path = path.substr(path.rfind('/') + 1);
    std::string name;
    for (size_t i = 0; i < path.size(); ++i) {
        if (path[i] != '%') {
            name.push_back(path[i]);
            continue;
        }
        auto byte = core::from_hex(path.substr(i + 1, 2));
        if (!byte || byte->size() != 1) return bad_uri("a '%' is not followed by two hex digits");
        name += *byte;
        i += 2;
    }
    const bool control =
        std::ranges::any_of(name, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos || control) {
        return bad_uri("its path must end in the name of a file; destPath gives another one");
    }
    return name;
}

Result<void> read_http(std::string_view uri, ArtifactPlan& plan) {
    auto url = Url::parse(uri);
    if (!url) return bad_uri(url.error().message);
    plan.scheme = url->tls ? ArtifactPlan::Scheme::kHttps : ArtifactPlan::Scheme::kHttp;
    plan.host = url->host;
    plan.port = url->port;
    plan.target = url->target;
    return {};
}

Result<void> read_source(std::string_view uri, ArtifactPlan& plan) {
    if (uri.starts_with("http://") || uri.starts_with("https://")) return read_http(uri, plan);
    if (uri.starts_with("blob:")) {
        plan.scheme = ArtifactPlan::Scheme::kBlob;
        auto digest = Digest::parse(uri.substr(5));
        if (!digest) return bad_uri("blob: must be followed by sha256: and 64 lower-case hex digits");
        if (plan.checksum && *plan.checksum != *digest)
            return bad_uri("the fragment is not the blob's digest");
        plan.checksum = std::move(*digest);
        return {};
    }
    if (uri.starts_with("file:///") || uri.starts_with('/')) {
        plan.scheme = ArtifactPlan::Scheme::kFile;
        plan.path = uri.starts_with('/') ? uri : uri.substr(7);
        return {};
    }
    return bad_uri("the scheme must be http, https, blob or file");
}

Result<std::string> name_of(const ArtifactRequest& request, const ArtifactPlan& plan) {
    if (!request.destination.empty()) {
        auto components = core::archive::split_path(request.destination);
        if (!components || components->empty() || request.destination.starts_with('/')) {
            return fail(Errc::kInvalid, "fetch.destPath: must be a relative path without '..'");
        }
        return core::archive::join_path(*components);
    }
    if (plan.scheme == ArtifactPlan::Scheme::kBlob) return plan.checksum->hex();
    return last_component(plan.scheme == ArtifactPlan::Scheme::kFile ? plan.path : plan.target);
}

}  // namespace

Result<ArtifactPlan> plan_artifact(const ArtifactRequest& request) {
    if (request.uri.empty() || request.uri.size() > kArtifactUriBytesMax) {
        return bad_uri(std::format("must have 1 to {} bytes", kArtifactUriBytesMax));
    }
    const std::string_view uri = request.uri;
    const size_t hash = uri.find('#');
    ArtifactPlan plan;
    TRY_ASSIGN(plan.checksum, checksum_of(hash == std::string_view::npos ? "" : uri.substr(hash + 1)));
    TRY(read_source(uri.substr(0, hash), plan));
    TRY_ASSIGN(plan.file_name, name_of(request, plan));
    plan.executable = request.executable;
    plan.cache = request.cache;
    // By what is fetched, as Mesos does; destPath may name an archive that the URI hides.
    std::string_view source = plan.scheme == ArtifactPlan::Scheme::kFile ? plan.path : plan.target;
    source = source.substr(0, source.find('?'));
    ArtifactPlan::Archive archive = archive_of(source.substr(source.rfind('/') + 1));
    if (archive == ArtifactPlan::Archive::kNone) archive = archive_of(plan.file_name);
    if (!request.extract || request.executable) return plan;
    if (archive == ArtifactPlan::Archive::kNone && is_unreadable_archive(source)) {
        return bad_uri(
            "xz and bzip2 archives are not unpacked here: give a .tar.gz, .tar.zst or .zip, or \"extract\": "
            "false");
    }
    plan.archive = archive;
    return plan;
}

}  // namespace smackd::services::images
