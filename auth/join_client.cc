#include "auth/join_client.h"

#include <format>

#include "auth/cluster_ca.h"
#include "auth/keytab.h"
#include "net/crypto/certificate.h"
#include "net/crypto/random.h"
#include "net/tls/session.h"

namespace smackd::auth {

using core::Bytes;
using core::Errc;
using core::Result;
using net::Task;

namespace {

std::unexpected<core::Error> told(const wire::JoinRefusal& refusal) {
    const auto code = refusal.code() == 0 ? Errc::kDenied : static_cast<Errc>(refusal.code());
    return std::unexpected(core::Error{code, "refused: " + refusal.message(), 0});
}

Task<Result<wire::JoinFrame>> next_frame(net::Stream& stream, size_t bytes_max) {
    CO_TRY_ASSIGN(wire::JoinFrame frame, co_await read_join_frame(stream, bytes_max));
    if (frame.has_refusal()) co_return told(frame.refusal());
    co_return frame;
}

Task<Result<void>> read_hello(net::Stream& stream) {
    CO_TRY_ASSIGN(const wire::JoinFrame frame, co_await next_frame(stream, kJoinTokenFrameBytesMax));
    if (!frame.has_hello()) co_return core::fail(Errc::kInvalid, "the member's first frame is no hello");
    if (frame.hello().protocol() != kJoinProtocol) {
        co_return core::fail(Errc::kUnsupported,
                             "the member speaks join protocol {}, this version {}: install the "
                             "cluster's version of smackd here",
                             frame.hello().protocol(), kJoinProtocol);
    }
    co_return Result<void>();
}

/// Nothing secret leaves before the member has proved itself: an AP-REQ is worth nothing elsewhere.
Task<Result<void>> authenticate(net::Stream& stream, GssInitiator& initiator, std::string member) {
    Bytes reply;
    for (;;) {
        CO_TRY_ASSIGN(Bytes token, initiator.step(reply));
        if (!token.empty()) {
            wire::JoinFrame frame;
            frame.set_token(std::move(token));
            CO_TRY(co_await write_join_frame(stream, std::move(frame)));
        }
        if (initiator.complete()) co_return Result<void>();
        CO_TRY_ASSIGN(wire::JoinFrame frame, co_await next_frame(stream, kJoinTokenFrameBytesMax));
        if (!frame.has_token())
            co_return core::fail(Errc::kUnauthenticated, "the member did not prove that it is {}", member);
        reply = frame.token();
    }
}

/// The key that the answer's certificate must have.
struct Expected {
    Bytes nonce;
    Bytes key_sha256;
    std::string cluster_pin;
    core::WallTime now;
};

Result<Expected> expect(JoinWish& wish) {
    Expected expected;
    expected.nonce = net::crypto::random_bytes(kJoinNonceBytes);
    expected.cluster_pin = wish.cluster_pin;
    expected.now = wish.clock.wall();
    TRY_ASSIGN(const auto request, net::crypto::parse_request(wish.request.certificate_request_pem()));
    expected.key_sha256 = request.key.sha256();
    wish.request.set_nonce(expected.nonce);
    wish.request.set_time_ms(expected.now.unix_ms);
    return expected;
}

Result<wire::JoinAnswer> check(wire::JoinAnswer answer, const Expected& expected) {
    if (answer.nonce() != expected.nonce)
        return core::fail(Errc::kDenied, "the answer is to another request");
    TRY_ASSIGN(const std::string cluster, cluster_id_of(answer.ca_pem()));
    if (cluster != answer.cluster_id())
        return core::fail(Errc::kDenied, "the answer's CA is not the cluster's");
    if (!expected.cluster_pin.empty() && cluster != expected.cluster_pin) {
        return core::fail(Errc::kDenied,
                          "the member is of cluster {}, the bundle of {}: take a new bundle, or the "
                          "right seed",
                          cluster, expected.cluster_pin);
    }
    TRY(net::crypto::verify_certificate(answer.certificate_pem(), answer.ca_pem(), expected.now));
    TRY_ASSIGN(const auto certificate, net::crypto::parse_certificate(answer.certificate_pem()));
    if (certificate.public_key_sha256 != expected.key_sha256)
        return core::fail(Errc::kDenied, "the certificate is not of this node's key");
    return answer;
}

}  // namespace

Result<std::string> machine_principal_of_keytab(const std::string& path) {
    TRY_ASSIGN(const Keytab keytab, Keytab::read(path));
    for (const KeytabEntry& entry : keytab.entries()) {
        if (entry.principal.starts_with("smack/")) return entry.principal;
    }
    return core::fail(Errc::kNotFound, "keytab {} holds no key of a machine (smack/HOST@REALM); it has: {}",
                      path, keytab.describe());
}

Result<JoinTicket> JoinTicket::get(const Source& source) {
    std::string principal = source.principal;
    if (principal.empty()) {
        TRY_ASSIGN(principal, machine_principal_of_keytab(source.keytab));
    }
    TRY_ASSIGN(ClientCredential credential, ClientCredential::from_keytab(source.keytab, principal));
    JoinTicket ticket(std::make_unique<ClientCredential>(std::move(credential)), source.member);
    // Its token is thrown away: this is what brings the member's ticket into the cache.
    TRY_ASSIGN(GssInitiator first, ticket.begin({}));
    TRY(first.step());
    return ticket;
}

Result<GssInitiator> JoinTicket::begin(Bytes channel_binding) const {
    return GssInitiator::open(
        *credential_, {.service = member_, .channel_binding = std::move(channel_binding), .spnego = false});
}

Result<std::string> join_certificate_request(const net::crypto::KeyPair& key, const std::string& machine) {
    return net::crypto::make_request(key, machine, {});
}

Task<Result<wire::JoinAnswer>> ask_to_join(net::Stream& stream, const JoinTicket& ticket, JoinWish wish) {
    CO_TRY_ASSIGN(const Expected expected, expect(wish));
    CO_TRY(co_await read_hello(stream));
    CO_TRY_ASSIGN(Bytes binding, stream.tls()->exporter_binding());
    CO_TRY_ASSIGN(GssInitiator initiator, ticket.begin(std::move(binding)));
    CO_TRY(co_await authenticate(stream, initiator, ticket.member()));
    const Bytes plain = wish.request.SerializeAsString();
    CO_TRY_ASSIGN(Bytes sealed, initiator.seal(plain));
    wire::JoinFrame frame;
    frame.set_sealed(std::move(sealed));
    CO_TRY(co_await write_join_frame(stream, std::move(frame)));
    CO_TRY_ASSIGN(wire::JoinFrame reply, co_await next_frame(stream, kJoinAnswerFrameBytesMax));
    if (!reply.has_sealed()) co_return core::fail(Errc::kInvalid, "the member's answer is not encrypted");
    CO_TRY_ASSIGN(const Bytes opened, initiator.open(reply.sealed()));
    wire::JoinAnswer answer;
    if (!answer.ParseFromString(opened))
        co_return core::fail(Errc::kInvalid, "the member's answer is no wire.JoinAnswer");
    co_return check(std::move(answer), expected);
}

Task<Result<wire::JoinAnswer>> ask_unproved(net::Stream& stream, JoinWish wish) {
    CO_TRY_ASSIGN(const Expected expected, expect(wish));
    CO_TRY(co_await read_hello(stream));
    wire::JoinFrame frame;
    *frame.mutable_unproved() = wish.request;
    CO_TRY(co_await write_join_frame(stream, std::move(frame)));
    CO_TRY_ASSIGN(wire::JoinFrame reply, co_await next_frame(stream, kJoinAnswerFrameBytesMax));
    if (!reply.has_answer()) co_return core::fail(Errc::kInvalid, "the member's answer is none");
    co_return check(std::move(*reply.mutable_answer()), expected);
}

}  // namespace smackd::auth
