// ImageName: what users write for an image, normalised as Docker does.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/images/digest.h"
#include "core/result.h"

namespace smackd::core::images {

inline constexpr size_t kRepositoryBytesMax = 255;  ///< of the distribution specification
inline constexpr size_t kTagBytesMax = 128;
inline constexpr std::string_view kDefaultRegistry = "docker.io";

/// REGISTRY/REPOSITORY[:TAG][@DIGEST]. "redis" is docker.io/library/redis:latest, "a/b" docker.io/a/b:latest;
/// the first component is a registry when it has a '.' or ':' or is "localhost".
struct ImageName {
    std::string registry;    ///< lower case, with the port where one was given
    std::string repository;  ///< "library/redis"
    std::string tag;         ///< empty only when a digest was given without one
    std::optional<Digest> digest;

    /// kInvalid names the part and the rule.
    static Result<ImageName> parse(std::string_view text);
    /// Normalised; equal names are equal texts.
    std::string to_string() const;
    /// Where the registry's API is: "registry-1.docker.io" for docker.io.
    std::string api_host() const;
    /// What a registry calls it in a path: the digest where there is one, else the tag.
    std::string reference() const { return digest ? digest->to_string() : tag; }

    bool operator==(const ImageName&) const = default;
};

}  // namespace smackd::core::images
