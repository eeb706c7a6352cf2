// Names of blobs, and the URIs by which apps fetch them:
//
//     blob:/team/tool.tgz                      what has that name when the app is deployed
//     blob:/team/tool.tgz#sha256=HEX           the same, pinned: what the state keeps of an app
//     blob:sha256:HEX                          by digest alone
//
// Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/images/digest.h"
#include "core/result.h"

namespace smackd::core::blobs {

inline constexpr size_t kBlobNameBytesMax = 512;
inline constexpr std::string_view kBlobScheme = "blob:";

/// A path that rights are asked on: '/', then components of [A-Za-z0-9._+~@-] between slashes that do not
/// begin with a dot; at most kBlobNameBytesMax bytes.
Result<void> check_blob_name(std::string_view name);
/// As users type it: "tool.tgz" is "/tool.tgz". Checked.
Result<std::string> blob_name_of(std::string_view typed);
/// The last component.
std::string_view file_name_of(std::string_view name);

struct BlobUri {
    std::string name;                      ///< empty: by digest alone
    std::optional<images::Digest> digest;  ///< empty: whatever has the name
    std::string to_string() const;
    auto operator<=>(const BlobUri&) const = default;
};

bool is_blob_uri(std::string_view uri);
/// kInvalid says what is wrong, without naming a field.
Result<BlobUri> parse_blob_uri(std::string_view uri);

}  // namespace smackd::core::blobs
