// RegistrySession: one repository of one registry, as one pull sees it (OCI distribution-spec 1.1).
#pragma once

#include <optional>
#include <string>

#include "core/clock.h"
#include "core/images/image_name.h"
#include "core/images/manifest.h"
#include "core/images/registry_auth.h"
#include "net/worker_pool.h"
#include "services/images/http_get.h"
#include "services/images/images.h"
#include "storage/blobs/blob_store.h"

namespace smackd::services::images {

inline constexpr size_t kAttemptsMax = 5;  ///< of one request that fails for reasons that pass

struct ManifestAnswer {
    core::images::Digest digest;
    std::string media_type;
    std::string body;
};

class RegistrySession {
 public:
    struct Environment {
        HttpGetter& getter;
        net::WorkerPool& workers;
        const core::Clock& clock;
    };
    /// `plain`: an insecure registry, spoken to over http.
    RegistrySession(Environment environment, core::images::ImageName name, bool plain,
                    std::optional<RegistryCredentials> credentials);

    /// By tag or digest. The digest is that of the bytes, and the one asked for. kNotFound, kDenied (with the
    /// registry's words), kCorrupt, kUnavailable.
    net::Task<core::Result<ManifestAnswer>> manifest(std::string reference);
    /// Fills `writer` up to the size of `blob`, going on where it is; the caller commits. `came` hears of
    /// each piece. Broken connections are tried again from where they broke.
    net::Task<core::Result<void>> fetch_blob(core::images::Descriptor blob, storage::BlobWriter& writer,
                                             core::Callback<void(size_t)>& came);
    /// True once the registry wanted credentials or a token bought by some.
    bool used_credentials() const { return used_credentials_; }

 private:
    net::Task<core::Result<GetResponse>> ask(std::string target, net::http::Headers headers);
    net::Task<core::Result<GetResponse>> ask_patiently(std::string target, net::http::Headers headers);
    net::Task<core::Result<bool>> sign_in(const GetResponse& refused);
    net::Task<core::Result<void>> buy_token(core::images::Challenge challenge);
    net::Task<core::Result<void>> fetch_blob_once(const core::images::Descriptor& blob,
                                                  storage::BlobWriter& writer,
                                                  core::Callback<void(size_t)>& came);
    net::Task<core::Result<core::Error>> refusal(GetResponse& response, std::string what);
    core::Result<Url> url_of(const std::string& target) const;

    Environment environment_;
    core::images::ImageName name_;
    bool plain_;
    std::optional<RegistryCredentials> credentials_;
    std::string authorization_;
    core::Instant token_until_{};
    bool has_token_ = false;
    bool used_credentials_ = false;
};

}  // namespace smackd::services::images
