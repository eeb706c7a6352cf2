// ImageRecord: what the node remembers of one image name; a small JSON file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/images/digest.h"
#include "core/images/manifest.h"
#include "core/json.h"
#include "core/result.h"

namespace smackd::services::images {

struct LayerRecord {
    core::images::Descriptor blob;
    core::images::Digest diff_id;
};

struct ImageRecord {
    std::string name;  ///< normalised
    core::images::Digest id;
    core::images::Digest config;
    std::vector<LayerRecord> layers;  ///< lowest first
    int64_t pulled_unix_ms = 0;
    int64_t used_unix_ms = 0;
    /// Who may have it without the registry being asked: empty for an image that anybody may pull, else a
    /// keyed hash of the credentials it was pulled with.
    std::string access;
    /// Forgotten by name, kept since something runs from it.
    bool removed = false;

    uint64_t bytes() const;
    core::Json to_json() const;
    /// kCorrupt names the member.
    static core::Result<ImageRecord> parse(std::string_view text);
};

}  // namespace smackd::services::images
