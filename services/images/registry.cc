#include "services/images/registry.h"

#include <algorithm>
#include <charconv>
#include <format>

#include "net/crypto/hash.h"
#include "net/scope.h"

namespace smackd::services::images {

using core::Errc;
using core::fail;
using core::Result;
using core::images::Challenge;
using core::images::Descriptor;
using core::images::Digest;
using net::Task;

namespace {

constexpr size_t kPieceBytes = 256 * 1024;
constexpr size_t kErrorBodyBytesMax = 64 * 1024;
constexpr core::Duration kRetryFirst = std::chrono::milliseconds(500);
constexpr core::Duration kRetryMax = std::chrono::seconds(30);

/// Reasons that pass: worth another try.
bool passes(const core::Error& error) {
    return error.code == Errc::kUnavailable || error.code == Errc::kTimeout || error.code == Errc::kBusy;
}

Errc code_of_status(int status) {
    if (status == 401 || status == 403) return Errc::kDenied;
    if (status == 404 || status == 410) return Errc::kNotFound;
    if (status == 429) return Errc::kBusy;
    if (status >= 500) return Errc::kUnavailable;
    return Errc::kInvalid;
}

/// "bytes 1000-1999/2000" begins where it was asked to.
bool range_begins_at(std::string_view field, uint64_t offset) {
    if (!field.starts_with("bytes ")) return false;
    field.remove_prefix(6);
    uint64_t first = 0;
    const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), first);
    return error == std::errc() && end != field.data() + field.size() && *end == '-' && first == offset;
}

core::Duration retry_after(const core::Error& error, size_t attempt) {
    if (error.retry_after_ms > 0)
        return std::min(core::Duration(core::milliseconds(error.retry_after_ms)), kRetryMax);
    return std::min(kRetryFirst * (1LL << attempt), kRetryMax);
}

std::string basic(const RegistryCredentials& credentials) {
    return "Basic " + core::to_base64(credentials.user + ":" + credentials.password);
}

}  // namespace

RegistrySession::RegistrySession(Environment environment, core::images::ImageName name, bool plain,
                                 std::optional<RegistryCredentials> credentials)
    : environment_(environment),
      name_(std::move(name)),
      plain_(plain),
      credentials_(std::move(credentials)) {}

Result<Url> RegistrySession::url_of(const std::string& target) const {
    return Url::parse(std::format("{}://{}{}", plain_ ? "http" : "https", name_.api_host(), target));
}

/// What a registry's refusal means, with its own words where it has some.
Task<Result<core::Error>> RegistrySession::refusal(GetResponse& response, std::string what) {
    const int status = response.head.status;
    core::Error error{code_of_status(status),
                      std::format("{}: registry {} answers {}", what, name_.registry, status), 0};
    auto body = co_await response.read_all(environment_.getter.loop(), kErrorBodyBytesMax);
    const std::string words = body ? core::images::registry_error_text(*body) : std::string();
    if (!words.empty()) error.message += ": " + words;
    if (status == 401 && !credentials_) error.message += " (no credentials were given)";
    uint32_t seconds = 0;
    const std::string_view after = response.head.headers.get("retry-after");
    const auto [end, bad] = std::from_chars(after.data(), after.data() + after.size(), seconds);
    if (bad == std::errc() && end == after.data() + after.size() && seconds <= 3600)
        error.retry_after_ms = seconds * 1000;
    co_return error;
}

Task<Result<void>> RegistrySession::buy_token(Challenge challenge) {
    auto url = Url::parse(challenge.realm);
    if (!url) co_return core::pass(std::move(url), "the registry's token server");
    if (!url->tls && !plain_) {
        co_return fail(Errc::kDenied, "registry {} names a token server without https", name_.registry);
    }
    const std::string scope =
        challenge.scope.empty() ? std::format("repository:{}:pull", name_.repository) : challenge.scope;
    const bool has_query = url->target.find('?') != std::string::npos;
    url->target += std::format("{}scope={}", has_query ? "&" : "?", net::http::percent_encode(scope));
    if (!challenge.service.empty()) url->target += "&service=" + net::http::percent_encode(challenge.service);
    GetRequest request{*url, {}, credentials_ ? basic(*credentials_) : std::string()};
    request.headers.set("Accept", "application/json");
    CO_TRY_ASSIGN(GetResponse response, co_await environment_.getter.get(std::move(request)));
    if (response.head.status != 200) {
        CO_TRY_ASSIGN(core::Error error, co_await refusal(response, "signing in"));
        co_return std::unexpected(std::move(error));
    }
    CO_TRY_ASSIGN(const std::string body,
                  co_await response.read_all(environment_.getter.loop(), kErrorBodyBytesMax * 4));
    CO_TRY_ASSIGN(core::images::TokenAnswer token, core::images::parse_token_answer(body));
    authorization_ = "Bearer " + token.token;
    has_token_ = true;
    used_credentials_ = used_credentials_ || credentials_.has_value();
    // Asked for again a little earlier, so that it does not end on its way.
    token_until_ = environment_.clock.now() + core::seconds(std::max<int64_t>(token.life_seconds - 5, 1));
    co_return Result<void>();
}

/// True when it is worth asking again.
Task<Result<bool>> RegistrySession::sign_in(const GetResponse& refused) {
    std::vector<Challenge> challenges;
    for (const std::string_view field : refused.head.headers.all("www-authenticate")) {
        CO_TRY_ASSIGN(std::vector<Challenge> some, core::images::parse_challenges(field));
        challenges.insert(challenges.end(), some.begin(), some.end());
    }
    auto bearer = std::ranges::find(challenges, Challenge::Scheme::kBearer, &Challenge::scheme);
    if (bearer != challenges.end()) {
        CO_TRY(co_await buy_token(*bearer));
        co_return true;
    }
    const bool wants_basic = std::ranges::contains(challenges, Challenge::Scheme::kBasic, &Challenge::scheme);
    if (!wants_basic || !credentials_) co_return false;
    authorization_ = basic(*credentials_);
    used_credentials_ = true;
    co_return true;
}

Task<Result<GetResponse>> RegistrySession::ask(std::string target, net::http::Headers headers) {
    if (has_token_ && environment_.clock.now() >= token_until_) authorization_.clear();
    for (bool again = false;; again = true) {
        CO_TRY_ASSIGN(Url url, url_of(target));
        const std::string sent = authorization_;
        GetRequest request{std::move(url), headers, sent};
        CO_TRY_ASSIGN(GetResponse response, co_await environment_.getter.get(std::move(request)));
        if (response.head.status != 401 || again) co_return response;
        // Another blob of this pull may have signed in meanwhile.
        if (authorization_ != sent && !authorization_.empty()) continue;
        CO_TRY_ASSIGN(const bool signed_in, co_await sign_in(response));
        if (!signed_in) co_return response;
    }
}

Task<Result<GetResponse>> RegistrySession::ask_patiently(std::string target, net::http::Headers headers) {
    for (size_t attempt = 0;; ++attempt) {
        auto response = co_await ask(target, headers);
        Result<core::Error> error =
            response ? Result<core::Error>(core::Error{}) : Result<core::Error>(response.error());
        if (response && response->head.status < 300) co_return response;
        if (response) error = co_await refusal(*response, name_.to_string());
        if (!error) co_return core::pass(std::move(error));
        if (!passes(*error) || attempt + 1 >= kAttemptsMax) co_return std::unexpected(std::move(*error));
        CO_TRY(co_await net::sleep(environment_.getter.loop(), retry_after(*error, attempt)));
    }
}

Task<Result<ManifestAnswer>> RegistrySession::manifest(std::string reference) {
    net::http::Headers headers;
    headers.set("Accept", core::images::accepted_manifests());
    CO_TRY_ASSIGN(
        GetResponse response,
        co_await ask_patiently(std::format("/v2/{}/manifests/{}", name_.repository, reference), headers));
    const size_t limit = core::images::kManifestBytesMax;
    CO_TRY_ASSIGN(std::string body, co_await response.read_all(environment_.getter.loop(), limit));
    const Digest found = Digest::of_sha256(net::crypto::sha256(body));
    const std::string told(response.head.headers.get("docker-content-digest"));
    for (const std::string& wanted : {reference, told}) {
        const auto digest = Digest::parse(wanted);
        if (digest && *digest != found) {
            co_return fail(Errc::kCorrupt, "{}: the manifest has the digest {}, not {}", name_.to_string(),
                           found.to_string(), wanted);
        }
    }
    co_return ManifestAnswer{found, std::string(response.head.headers.get("content-type")), std::move(body)};
}

Task<Result<void>> RegistrySession::fetch_blob_once(const Descriptor& blob, storage::BlobWriter& writer,
                                                    core::Callback<void(size_t)>& came) {
    net::http::Headers headers;
    headers.set("Accept-Encoding", "identity");
    if (writer.size() > 0) headers.set("Range", std::format("bytes={}-", writer.size()));
    std::string target = std::format("/v2/{}/blobs/{}", name_.repository, blob.digest.to_string());
    CO_TRY_ASSIGN(GetResponse response, co_await ask(std::move(target), std::move(headers)));
    const int status = response.head.status;
    const bool goes_on =
        status == 206 && range_begins_at(response.head.headers.get("content-range"), writer.size());
    if (status != 200 && !goes_on) {
        if (status == 206 || status == 416) {
            CO_TRY(writer.restart());
            co_return fail(Errc::kUnavailable, "{}: the registry cannot go on with blob {}",
                           name_.to_string(), blob.digest.to_string());
        }
        CO_TRY_ASSIGN(core::Error error,
                      co_await refusal(response, std::format("blob {}", blob.digest.to_string())));
        co_return std::unexpected(std::move(error));
    }
    if (!goes_on && writer.size() > 0) CO_TRY(writer.restart());
    net::Loop& loop = environment_.getter.loop();
    std::string piece(kPieceBytes, '\0');
    for (bool ended = false; !ended;) {
        size_t filled = 0;
        while (filled < piece.size() && !ended) {
            auto count = co_await response.read(loop, piece.data() + filled, piece.size() - filled);
            if (!count && filled == 0) co_return core::pass(std::move(count));
            ended = !count || *count == 0;  // what came before a break is kept
            if (count) filled += *count;
        }
        const core::BytesView bytes(piece.data(), filled);
        core::Callback<Result<void>()> work = [&writer, bytes] { return writer.append(bytes); };
        CO_TRY(co_await environment_.workers.run<void>(loop, std::move(work)));
        came(filled);
    }
    if (writer.size() < blob.size) {
        co_return fail(Errc::kUnavailable, "blob {}: the connection ended after {} of {} bytes",
                       blob.digest.to_string(), writer.size(), blob.size);
    }
    co_return Result<void>();
}

Task<Result<void>> RegistrySession::fetch_blob(Descriptor blob, storage::BlobWriter& writer,
                                               core::Callback<void(size_t)>& came) {
    for (size_t attempt = 0;;) {
        if (writer.size() == blob.size && blob.size > 0) co_return Result<void>();
        const uint64_t before = writer.size();
        auto done = co_await fetch_blob_once(blob, writer, came);
        if (done || !passes(done.error())) co_return done;
        // One that gets further each time may go on; only standing still is counted.
        attempt = writer.size() > before ? 0 : attempt + 1;
        if (attempt >= kAttemptsMax) co_return done;
        CO_TRY(co_await net::sleep(environment_.getter.loop(), retry_after(done.error(), attempt)));
    }
}

}  // namespace smackd::services::images
