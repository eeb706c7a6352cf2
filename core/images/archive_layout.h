// How images lie in files: `docker save` archives and OCI layouts (image-spec image-layout.md).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/images/manifest.h"
#include "core/result.h"

namespace smackd::core::images {

/// One image of a docker-archive: paths inside it.
struct DockerArchiveImage {
    std::string config;
    std::vector<std::string> layers;  ///< lowest first, plain tars or compressed
    std::vector<std::string> names;   ///< "busybox:1"; may be empty
};

/// Reads its manifest.json, which must hold exactly one image. kInvalid names the field.
Result<DockerArchiveImage> parse_docker_archive(std::string_view text);

/// Reads the `oci-layout` file: version 1.x. kInvalid, kUnsupported.
Result<void> check_oci_layout(std::string_view text);

/// The image's name in an index.json: `org.opencontainers.image.ref.name` of its first entry when that is a
/// whole name and not only a tag; empty when there is none.
std::string oci_layout_name(std::string_view index);

/// A manifest for layers and a config that came without one; canonical, so that equal images have equal
/// digests.
std::string make_manifest(const Manifest& manifest);

}  // namespace smackd::core::images
