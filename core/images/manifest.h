// What a registry answers about an image: manifests and indexes, Docker schema 2 and OCI.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/images/digest.h"
#include "core/result.h"
#include "core/units.h"

namespace smackd::core::images {

inline constexpr size_t kManifestBytesMax = 4 * kMiB;
inline constexpr size_t kConfigBytesMax = 4 * kMiB;
inline constexpr size_t kLayersMax = 127;  ///< as Docker: what one overlay mount takes with room to spare
inline constexpr size_t kIndexEntriesMax = 512;
inline constexpr uint64_t kBlobBytesMax = 32 * kGiB;

inline constexpr std::string_view kOciManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kOciIndex = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kDockerList = "application/vnd.docker.distribution.manifest.list.v2+json";

/// The Accept field of a manifest request.
std::string accepted_manifests();

/// Names a blob: type, digest, exact size in bytes.
struct Descriptor {
    std::string media_type;
    Digest digest;
    uint64_t size = 0;
    bool operator==(const Descriptor&) const = default;
};

struct Manifest {
    Descriptor config;
    std::vector<Descriptor> layers;  ///< lowest first
};

/// "linux", "arm64", "v8".
struct Platform {
    std::string os;
    std::string architecture;
    std::string variant;
    /// "linux/arm64/v8".
    std::string to_string() const;
    bool operator==(const Platform&) const = default;
};

struct IndexEntry {
    Descriptor manifest;
    Platform platform;  ///< empty fields where the index names none
};

struct Index {
    std::vector<IndexEntry> manifests;
};

using ManifestDocument = std::variant<Manifest, Index>;

/// Reads either. `content_type` is what the registry said and may be empty; a mediaType inside must agree
/// with it. kInvalid names the field; kUnsupported for schema 1 and for artifacts that are no images.
Result<ManifestDocument> parse_manifest(std::string_view content_type, std::string_view text);

/// The manifest for `wanted`: os and architecture equal, an equal variant first, then one without. Entries of
/// platform "unknown" (attestations) never match. kNotFound lists the platforms there are.
Result<Descriptor> choose_platform(const Index& index, const Platform& wanted);

}  // namespace smackd::core::images
