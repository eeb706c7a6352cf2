// Artifact: a file a command task wants before it starts (`fetch` and `uris` of Marathon).
//
//     co_await images.fetch({.uri = "https://repo/app.tgz#sha256=..."}, sandbox);
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/images/digest.h"
#include "core/result.h"
#include "core/units.h"

namespace smackd::services::images {

inline constexpr size_t kArtifactUriBytesMax = 1024;  ///< as Marathon
inline constexpr uint64_t kArtifactBytesMax = 16 * core::kGiB;
inline constexpr core::Duration kArtifactLimit = std::chrono::minutes(30);

/// One element of `fetch`.
struct ArtifactRequest {
    std::string
        uri;  ///< http:, https:, blob:sha256:HEX, file: by policy; `#sha256=HEX` is checked and not sent
    bool extract = true;  ///< by the name's ending: .tar .tar.gz .tgz .tar.zst .zip; .tar.xz, .tar.bz2 are
                          ///< refused; other names stay as they are
    bool executable = false;  ///< mode 0755, and never extracted
    bool cache = false;       ///< kept in the blob store; asked for again by ETag or Last-Modified
    std::string
        destination{};  ///< destPath: relative to the sandbox; empty: the last component of the URI's path
    uint32_t uid = 0;   ///< who owns the files, as the sandbox's file system counts
    uint32_t gid = 0;
};

/// An ArtifactRequest whose texts were checked and taken apart. Pure.
struct ArtifactPlan {
    enum class Scheme : uint8_t { kHttp, kHttps, kBlob, kFile };
    enum class Archive : uint8_t { kNone, kTar, kZip };
    Scheme scheme = Scheme::kHttp;
    std::string host;                              ///< http, https
    uint16_t port = 0;                             ///< http, https
    std::string target;                            ///< http, https: path and query
    std::string path;                              ///< file
    std::optional<core::images::Digest> checksum;  ///< of the fragment; blob: the blob
    Archive archive = Archive::kNone;
    std::string file_name;  ///< below the sandbox, no "..", not absolute
    bool executable = false;
    bool cache = false;
};

/// kInvalid names `fetch.uri` or `fetch.destPath` and the rule; a user name or password in a URI is refused,
/// since it would be seen in every listing.
core::Result<ArtifactPlan> plan_artifact(const ArtifactRequest& request);

}  // namespace smackd::services::images
