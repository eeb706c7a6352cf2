// From an OCI layout or the contents of a `docker save` archive in a folder to blobs in the store.
#pragma once

#include <string>

#include "core/images/manifest.h"
#include "core/result.h"
#include "storage/blobs/blob_store.h"

namespace smackd::services::images {

struct ImportedImage {
    std::string name;  ///< as the archive calls it; empty when it does not
    core::images::Digest id;
    core::images::Manifest manifest;
    std::vector<storage::BlobStore::Reference> references{};  ///< of all its blobs
};

/// Copies and checks the image for `wanted` in `folder`, whose contents are foreign: no name in it leads out
/// of it. Blocks. kInvalid says what is missing or wrong; kCorrupt when a digest is not that of its file.
core::Result<ImportedImage> import_folder(const std::string& folder, const core::images::Platform& wanted,
                                          storage::BlobStore& blobs);

}  // namespace smackd::services::images
