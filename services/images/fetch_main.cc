// `smackd fetch`: the child that downloads one artifact.
#include <sys/syscall.h>

#include <cerrno>
#include <format>

#include "auth/confinement.h"
#include "core/json.h"
#include "net/given_tcp.h"
#include "net/scope.h"
#include "net/socket.h"
#include "services/images/child_process.h"
#include "services/images/connection_broker.h"
#include "services/images/download.h"
#include "services/images/http_get.h"
#include "services/images/unpack_confinement.h"

namespace smackd::services::images {

using core::Errc;
using core::fail;
using core::Json;
using core::Result;
using net::Task;

namespace {

constexpr int kRequests = kChildFirstDescriptor, kCertificates = kRequests + 1, kFile = kRequests + 2;
constexpr size_t kInputBytesMax = 64 * 1024;
constexpr size_t kCertificatesBytesMax = 32 * 1024 * 1024;
constexpr size_t kPieceBytes = 256 * 1024;
constexpr size_t kEtagBytesMax = 512;
constexpr uint64_t kCpuSecondsMax = 3600;

Result<std::string> read_to_end(int descriptor, size_t limit) {
    std::string text;
    std::string piece(65536, '\0');
    for (;;) {
        const ssize_t count = ::read(descriptor, piece.data(), piece.size());
        if (count < 0) return core::fail_errno(errno, "read");
        if (count == 0) return text;
        text.append(piece, 0, static_cast<size_t>(count));
        if (text.size() > limit) return fail(Errc::kInvalid, "longer than {} bytes", limit);
    }
}

/// Every connection comes from the parent.
class BrokeredConnector final : public Connector {
 public:
    explicit BrokeredConnector(net::Loop& loop) : loop_(loop) {}
    Task<Result<std::unique_ptr<net::Stream>>> connect(const Url& url) override {
        // Blocks the loop, which has nothing else to do.
        CO_TRY_ASSIGN(FileDescriptor connection, request_connection(kRequests, url.host, url.port));
        co_return net::stream_of_given_tcp(loop_, ::dup(connection.get()));
    }

 private:
    net::Loop& loop_;
};

std::optional<core::Error> refusal(const GetResponse& response) {
    const int status = response.head.status;
    if (status == 200 || status == 304) return std::nullopt;
    Errc code = Errc::kInvalid;
    if (status == 401 || status == 403) code = Errc::kDenied;
    if (status == 404 || status == 410) code = Errc::kNotFound;
    if (status == 429 || status >= 500) code = Errc::kUnavailable;
    return core::Error{code, std::format("{} answers {}", response.url.shown(), status), 0};
}

Result<void> write_file(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t put = ::write(kFile, bytes.data(), bytes.size());
        if (put < 0) return core::fail_errno(errno, "write the artifact");
        bytes.remove_prefix(static_cast<size_t>(put));
    }
    return {};
}

Task<Result<Json>> download(HttpGetter& getter, Url url, std::string etag, uint64_t bytes_max) {
    GetRequest request{std::move(url)};
    request.headers.set("Accept-Encoding", "identity");
    if (!etag.empty()) request.headers.set("If-None-Match", etag);
    CO_TRY_ASSIGN(GetResponse response, co_await getter.get(std::move(request)));
    if (auto error = refusal(response)) co_return std::unexpected(std::move(*error));
    if (response.head.status == 304) co_return Json::object().set("unchanged", true);
    std::string piece(kPieceBytes, '\0');
    uint64_t bytes = 0;
    for (;;) {
        CO_TRY_ASSIGN(const size_t count, co_await response.read(getter.loop(), piece.data(), piece.size()));
        if (count == 0) break;
        bytes += count;
        if (bytes > bytes_max)
            co_return fail(Errc::kInvalid, "{} is longer than {} bytes", response.url.shown(), bytes_max);
        CO_TRY(write_file(std::string_view(piece).substr(0, count)));
    }
    const std::string found(response.head.headers.get("etag"));
    co_return Json::object().set("bytes", bytes).set("etag", found.size() <= kEtagBytesMax ? found : "");
}

Result<Json> fetch(const Json& input) {
    TRY(auth::die_with_parent(static_cast<int>(input["parent"].as_integer())));
    if (::syscall(SYS_close_range, kFile + 1, ~0U, 0U) != 0) return core::fail_errno(errno, "close_range");
    const Url url{input["url_tls"].as_bool(), input["url_host"].as_string(),
                  static_cast<uint16_t>(input["url_port"].as_integer()), input["url_target"].as_string()};
    std::shared_ptr<const net::TlsConfig> config;
    TRY_ASSIGN(const std::string pem, read_to_end(kCertificates, kCertificatesBytesMax));
    if (!pem.empty()) {
        TRY_ASSIGN(config, net::TlsConfig::client(
                               {.ca_pem = pem, .certificate_pem = {}, .key_pem = {}, .alpn = {"http/1.1"}}));
    }
    // Loop and thread are made before the filter, which knows no call that makes any.
    TRY(refuse_rings());
    net::Loop loop("fetch");
    // libuv opens /dev/null with its first stream, to have a descriptor to spare: afterwards there is none.
    TRY_ASSIGN(const auto first_streams, net::make_pair(loop));
    net::WorkerPool workers("fetch", 1, 8);
    net::TlsEngine tls(loop, workers);
    BrokeredConnector connector(loop);
    HttpGetter getter(loop, tls, std::move(config), connector);
    TRY(confine_fetcher(kCpuSecondsMax));
    auto done = net::block_on(loop, download(getter, url, input["etag"].as_string(),
                                             static_cast<uint64_t>(input["bytes_max"].as_integer())));
    const std::string answer = (done ? *done : child_error(done.error())).dump();
    const ssize_t put = ::write(STDOUT_FILENO, answer.data(), answer.size());
    // Nothing is taken apart: the threads' end takes calls that are not allowed any more.
    ::_exit(put == static_cast<ssize_t>(answer.size()) ? 0 : 1);
}

}  // namespace

int fetch_main() {
    auto text = read_to_end(STDIN_FILENO, kInputBytesMax);
    Result<Json> input = text ? Json::parse(*text) : Result<Json>(core::pass(std::move(text)));
    const Result<Json> failed = input ? fetch(*input) : std::move(input);
    const std::string answer = (failed ? *failed : child_error(failed.error())).dump();
    return ::write(STDOUT_FILENO, answer.data(), answer.size()) > 0 ? 0 : 1;
}

}  // namespace smackd::services::images
