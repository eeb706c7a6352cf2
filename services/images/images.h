// Images: what a node has of container images, and how it gets them.
//
//     auto image = co_await images.ensure_image({.name = "redis:7"});
//     // image->layers: read-only directories, lowest first; image->config: entrypoint, env, user, ...
//     // keep image->hold as long as something runs from the layers
//
// Kept below one directory: blobs by digest (storage/blobs), unpacked layers by the digest of their blob, one
// record for each image name. Everything appears by rename, so what is there is whole. One Images on one
// net::Loop; nothing here blocks it: files and hashes are worked on in the WorkerPool, archives are opened in
// confined children (`smackd unpack`).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/callback.h"
#include "core/clock.h"
#include "core/disk.h"
#include "core/images/digest.h"
#include "core/images/image_config.h"
#include "core/images/manifest.h"
#include "core/logger.h"
#include "core/units.h"
#include "net/loop.h"
#include "net/task.h"
#include "net/tls/tls.h"
#include "net/worker_pool.h"
#include "services/images/artifact.h"

namespace smackd::services::images {

/// What a registry wants of who signs in. Never logged, never stored.
struct RegistryCredentials {
    std::string user;
    std::string password;
};

/// How far a pull is; called on the loop, at most some times a second.
struct PullProgress {
    enum class Step : uint8_t { kResolving, kPulling, kUnpacking, kDone };
    Step step = Step::kResolving;
    size_t layers_done = 0;
    size_t layers = 0;
    uint64_t bytes_done = 0;  ///< of compressed blobs that are not here yet
    uint64_t bytes = 0;
};

struct ImageRequest {
    std::string name;  ///< as users write it
    std::optional<RegistryCredentials> credentials{};
    bool force = false;  ///< forcePullImage: the registry is asked although the image is here
    core::Callback<void(const PullProgress&)> progress{};
};

/// Keeps the layers of an image on the disk as long as it lives (or a copy of it). May be dropped on any
/// thread.
using ImageHold = std::shared_ptr<const void>;

struct Image {
    std::string name;                 ///< normalised
    core::images::Digest id;          ///< of the manifest of this platform: pins the image on other nodes
    uint64_t bytes = 0;               ///< of its compressed layers
    std::vector<std::string> layers;  ///< absolute directories, lowest first, at least one; whiteouts are in
                                      ///< overlayfs' form: character devices 0:0, trusted.overlay.opaque=y
    core::images::ImageConfig config;
    ImageHold hold;
};

/// A row of list().
struct ImageRow {
    std::string name;
    core::images::Digest id;
    uint64_t bytes = 0;  ///< compressed
    size_t layers = 0;
    int64_t pulled_unix_ms = 0;
    int64_t used_unix_ms = 0;  ///< last ensure_image
    bool held = false;
};

struct ImagesOptions {
    std::string directory;  ///< absolute; made when absent, 0711 so that mapped tasks reach the layers
    std::string program = "/proc/self/exe";  ///< what `unpack` and `fetch` are entries of
    uint64_t size_limit =
        40 * core::kGiB;  ///< of blobs and layers; beyond it what is not held goes, oldest first
    uint64_t image_bytes_max = 16 * core::kGiB;      ///< unpacked, of one layer
    core::images::Platform platform;                 ///< empty: this machine's
    std::vector<std::string> insecure_registries{};  ///< HOST[:PORT] spoken to over plain http
    std::vector<std::string>
        allowed_addresses{};                    ///< IP or CIDR reachable although the address rules forbid it
    std::vector<std::string> node_addresses{};  ///< IPs of the cluster's nodes, until set_node_addresses()
    std::string ca_file =
        "/etc/ssl/certs/ca-certificates.crt";  ///< who signs registries and artifact servers
    std::string extra_ca_file{};               ///< beside ca_file
    bool allow_file_uris = false;              ///< `file:` artifacts
};

class ImagesImplementation;

class Images {
 public:
    /// `workers`, `tls`, `disk` and `clock` outlive it.
    struct Environment {
        net::Loop& loop;
        net::WorkerPool& workers;
        net::TlsEngine& tls;
        core::Disk& disk;
        const core::Clock& clock;
        core::Logger logger{};
    };
    /// Reads the records and removes what an earlier process left half done. Blocks for the time of that.
    static core::Result<std::unique_ptr<Images>> open(Environment environment, ImagesOptions options);
    ~Images();
    Images(const Images&) = delete;
    Images& operator=(const Images&) = delete;

    /// The image by that name, from the store or else from its registry, unpacked. Concurrent calls for one
    /// image share one pull. kInvalid (name), kNotFound, kDenied (registry or address rules), kUnavailable,
    /// kTimeout, kCorrupt (digest, size, archive), kDiskFull, kUnsupported (schema 1, platform, sparse
    /// files).
    ///
    /// An image that was pulled with credentials is given only to who has credentials its registry accepts.
    net::Task<core::Result<Image>> ensure_image(ImageRequest request);

    /// Reads a docker-archive or oci-archive (tar) or an OCI layout (directory) and stores it as `name`; an
    /// empty name takes the one in the archive. kInvalid names what is wrong with the archive.
    net::Task<core::Result<Image>> import_archive(std::string path, std::string name);

    /// By name.
    std::vector<ImageRow> list() const;
    /// Forgets the name; blobs and layers that nobody else needs go at once unless held. kNotFound.
    net::Task<core::Result<void>> remove(std::string name);
    /// After a restart: keeps the layers of a task that still runs. kNotFound when they are gone.
    core::Result<Image> hold(const core::images::Digest& id);
    /// IPs of the cluster's nodes from now on: nothing is downloaded from there. Texts that are no IP are
    /// left out.
    void set_node_addresses(const std::vector<std::string>& addresses);
    /// Removes what is not held until the store is below its limit; returns the bytes freed. Runs by itself
    /// after each pull.
    net::Task<core::Result<uint64_t>> collect();

    /// Fetches one artifact into `sandbox`, an absolute directory that exists: downloaded in a child that
    /// reaches only addresses the rules allow, checked, extracted in another one that has no network, made
    /// executable. Nothing of it is in the sandbox when it fails. kInvalid names the field; kDenied for
    /// addresses and schemes that policy forbids; kNotFound, kUnavailable, kTimeout, kCorrupt, kDiskFull.
    net::Task<core::Result<void>> fetch(ArtifactRequest request, std::string sandbox);

    /// Ends pulls with kCancelled and waits for them.
    net::Task<void> close();

 private:
    explicit Images(std::unique_ptr<ImagesImplementation> implementation);
    std::unique_ptr<ImagesImplementation> implementation_;
};

}  // namespace smackd::services::images
