#include "auth/join_server.h"

#include <cstdlib>

#include "auth/identity.h"
#include "auth/ticket_diagnosis.h"
#include "core/names.h"
#include "net/tls/session.h"

namespace smackd::auth {

using core::Bytes;
using core::Errc;
using core::Error;
using core::Result;
using net::Task;

namespace {

constexpr int64_t kMinuteMs = 60'000;
constexpr int kTokensMax = 3;

std::string host_of(const std::string& peer) {
    return peer.substr(0, peer.rfind(':'));
}

std::unexpected<JoinRefused> refused(std::string reason, Error error) {
    return std::unexpected(JoinRefused{std::move(reason), std::move(error)});
}

/// GSS contexts of one exchange; used by one worker at a time, and by the loop between.
struct Acceptance {
    GssAcceptor acceptor;
    GssExchange exchange;
};

}  // namespace

struct JoinServer::Exchange {
    JoinProof proof;
    std::shared_ptr<Acceptance> acceptance;  // shared with the worker that runs a step
    std::string reason = "no_proof";
    std::string detail;  // for the log: more than the machine is told
    Bytes token;         // KRB-ERROR
    wire::JoinFrame request;
};

JoinServer::JoinServer(net::Loop& loop, net::WorkerPool& workers, core::Clock& clock,
                       JoinServerOptions options, JoinAuthority& authority)
    : loop_(loop), workers_(workers), clock_(clock), options_(std::move(options)), authority_(authority) {}

JoinServer::~JoinServer() = default;

Result<void> JoinServer::enter(const std::string& host) {
    if (running_ >= options_.limits.exchanges)
        return core::fail(Errc::kBusy, "too many machines join at once");
    const int64_t now = clock_.wall().unix_ms;
    if (hosts_.size() >= options_.limits.hosts) {
        std::erase_if(hosts_, [&](const auto& entry) {
            return entry.second.running == 0 && std::abs(now - entry.second.window_ms) > kMinuteMs;
        });
        if (hosts_.size() >= options_.limits.hosts)
            return core::fail(Errc::kBusy, "too many machines join at once");
    }
    Host& entry = hosts_[host];
    if (std::abs(now - entry.window_ms) > kMinuteMs) entry = {entry.running, now, 0};
    if (entry.running >= options_.limits.exchanges_per_host ||
        ++entry.attempts > options_.limits.attempts_per_host_minute) {
        return core::fail(Errc::kBusy, "too many attempts to join from this address; wait a minute");
    }
    ++entry.running;
    ++running_;
    return {};
}

void JoinServer::leave(const std::string& host) {
    --hosts_[host].running;
    --running_;
}

Task<void> JoinServer::serve(std::unique_ptr<net::Stream> stream) {
    const std::string host = host_of(stream->peer());
    Exchange exchange;
    exchange.proof.source = stream->peer();
    auto entered = enter(host);
    if (!entered) {
        co_await refuse(*stream, exchange, {"too_many", std::move(entered.error())});
        co_await stream->close();
        co_return;
    }
    auto ended = co_await run(*stream, exchange);
    if (!ended) co_await refuse(*stream, exchange, std::move(ended.error()));
    leave(host);
    co_await stream->close();
}

Task<JoinResult<void>> JoinServer::run(net::Stream& stream, Exchange& exchange) {
    auto proved =
        co_await net::with_deadline(loop_, options_.limits.exchange, "the proof", prove(stream, exchange));
    if (!proved) co_return refused(exchange.reason, std::move(proved.error()));
    wire::JoinRequest request = exchange.request.unproved();
    if (exchange.proof.kerberos) {
        auto opened = exchange.acceptance->exchange.open(exchange.request.sealed());
        if (!opened) co_return refused("bad_request", std::move(opened.error()));
        if (!request.ParseFromString(*opened)) {
            co_return refused("bad_request", Error{Errc::kInvalid, "the bytes are no wire.JoinRequest", 0});
        }
    }
    const Bytes nonce = request.nonce();
    auto answer = co_await decide(exchange, std::move(request));
    if (!answer) co_return std::unexpected(std::move(answer.error()));
    answer->set_nonce(nonce);
    wire::JoinFrame frame;
    if (exchange.proof.kerberos) {
        Bytes plain = answer->SerializeAsString();
        auto sealed = exchange.acceptance->exchange.seal(plain);
        if (!sealed) co_return refused("internal", std::move(sealed.error()));
        frame.set_sealed(std::move(*sealed));
    } else {
        answer->clear_cluster_key();
        answer->clear_secrets();
        *frame.mutable_answer() = std::move(*answer);
    }
    // Committed: a machine that does not get it asks again with the same key.
    auto sent = co_await net::with_deadline(loop_, options_.limits.exchange, "the answer",
                                            write_join_frame(stream, std::move(frame)));
    static_cast<void>(sent);
    co_return JoinResult<void>();
}

/// Ends with a request whose sender is known, or with the reason in `exchange`.
Task<Result<void>> JoinServer::prove(net::Stream& stream, Exchange& exchange) {
    const auto& certificate = stream.tls()->peer_certificate();
    if (certificate) {
        exchange.reason = "certificate";
        CO_TRY_ASSIGN(exchange.proof.machine, authority_.machine_of(*certificate));
        exchange.proof.certificate = *certificate;
        exchange.reason = "no_proof";
    }
    wire::JoinFrame hello;
    hello.mutable_hello()->set_protocol(kJoinProtocol);
    hello.mutable_hello()->set_time_ms(clock_.wall().unix_ms);
    CO_TRY(co_await write_join_frame(stream, std::move(hello)));
    for (int count = 0; count < kTokensMax; ++count) {
        auto frame = co_await read_join_frame(stream, kJoinTokenFrameBytesMax);
        if (!frame) {
            exchange.detail = frame.error().message;
            co_return core::fail(Errc::kUnauthenticated,
                                 "authentication needed: a Kerberos ticket of a machine");
        }
        if (frame->has_token()) {
            CO_TRY(co_await take_ticket(stream, exchange, frame->token()));
            continue;
        }
        const bool known = frame->has_sealed()
                               ? exchange.proof.kerberos
                               : frame->has_unproved() && exchange.proof.certificate.has_value();
        if (!known) break;
        exchange.request = std::move(*frame);
        co_return Result<void>();
    }
    co_return core::fail(Errc::kUnauthenticated, "authentication needed: a Kerberos ticket of a machine");
}

Task<Result<AcceptOutcome>> JoinServer::accept(Exchange& exchange, Bytes token, Bytes binding) {
    auto outcome = co_await workers_.run<AcceptOutcome>(loop_, [this, &exchange, &token, &binding] {
        if (!exchange.acceptance) {
            // No replay cache: an AP-REQ is bound to its TLS session, so it is of no use on another.
            auto acceptor = GssAcceptor::open({options_.keytab, {}, {}});
            if (!acceptor) return Result<AcceptOutcome>(std::unexpected(std::move(acceptor.error())));
            GssExchange begun = acceptor->begin();
            exchange.acceptance = std::make_shared<Acceptance>(std::move(*acceptor), std::move(begun));
        }
        return Result<AcceptOutcome>(exchange.acceptance->exchange.step(token, binding));
    });
    co_return outcome;
}

Task<Result<void>> JoinServer::take_ticket(net::Stream& stream, Exchange& exchange, Bytes token) {
    if (exchange.proof.kerberos) co_return core::fail(Errc::kInvalid, "a second ticket");
    CO_TRY_ASSIGN(Bytes binding, stream.tls()->exporter_binding());
    auto stepped = co_await accept(exchange, std::move(token), std::move(binding));
    if (!stepped) {
        exchange.reason = "internal";
        exchange.detail = stepped.error().message;
        co_return core::fail(Errc::kUnavailable, "this member cannot check tickets now; try another one");
    }
    AcceptOutcome outcome = std::move(*stepped);
    if (outcome.state == AcceptOutcome::State::kRefused) {
        exchange.reason = refusal_reason_name(outcome.reason);
        exchange.detail = outcome.error.message;
        exchange.token = std::move(outcome.token);
        co_return core::fail(Errc::kUnauthenticated, "{}", public_refusal(outcome.reason, clock_.wall()));
    }
    if (outcome.state == AcceptOutcome::State::kComplete) {
        exchange.proof.principal = outcome.peer.principal;
        // An initiator that sent no binding is accepted by GSS without this flag: it might be relayed.
        if (!outcome.peer.channel_bound || !outcome.peer.mutual) {
            exchange.reason = "not_bound";
            co_return core::fail(Errc::kUnauthenticated,
                                 "the ticket is not bound to this TLS session, or asks for no "
                                 "proof of ours: somebody may be in the middle");
        }
        if (!outcome.peer.service.starts_with("smack/")) {
            exchange.reason = "no_key";
            co_return core::fail(Errc::kUnauthenticated, "the ticket is for {}; one for smack/HOST is needed",
                                 outcome.peer.service);
        }
        auto machine = machine_of_principal(outcome.peer.principal, options_.realm);
        if (!machine) {
            exchange.reason = machine.error().reason;
            co_return std::unexpected(std::move(machine.error().error));
        }
        if (exchange.proof.certificate && *machine != exchange.proof.machine) {
            exchange.reason = "certificate";
            co_return core::fail(Errc::kDenied, "the certificate is of machine {}, the ticket of {}",
                                 exchange.proof.machine, *machine);
        }
        exchange.proof.machine = std::move(*machine);
        exchange.proof.kerberos = true;
    }
    wire::JoinFrame reply;
    reply.set_token(std::move(outcome.token));
    auto written = co_await write_join_frame(stream, std::move(reply));
    co_return written;
}

Task<JoinResult<wire::JoinAnswer>> JoinServer::decide(Exchange& exchange, wire::JoinRequest request) {
    auto clocks = check_clocks(request.time_ms(), clock_.wall().unix_ms);
    if (!clocks) co_return refused("clock_skew", std::move(clocks.error()));
    if (request.nonce().size() != kJoinNonceBytes) {
        co_return refused("bad_request", Error{Errc::kInvalid,
                                               std::format("nonce: must have {} bytes", kJoinNonceBytes), 0});
    }
    auto answer = co_await authority_.admit(exchange.proof, std::move(request));
    co_return answer;
}

Task<void> JoinServer::refuse(net::Stream& stream, const Exchange& exchange, JoinRefused why) {
    std::string message = why.error.message;
    if (!exchange.detail.empty() && exchange.detail != message) message += " (" + exchange.detail + ")";
    authority_.refused({.reason = why.reason,
                        .principal = exchange.proof.principal,
                        .source = exchange.proof.source,
                        .door = "join",
                        .request = exchange.proof.certificate ? "renew" : "join",
                        .message = std::move(message)});
    wire::JoinFrame frame;
    wire::JoinRefusal& refusal = *frame.mutable_refusal();
    refusal.set_code(static_cast<uint32_t>(why.error.code));
    refusal.set_reason(why.reason);
    refusal.set_message(why.error.message);
    refusal.set_token(exchange.token);
    auto sent = co_await net::with_deadline(loop_, options_.limits.exchange, "the refusal",
                                            write_join_frame(stream, std::move(frame)));
    if (sent) static_cast<void>(co_await stream.shutdown());
}

JoinResult<JoinAsk> read_ask(const JoinProof& proof, const wire::JoinRequest& request) {
    auto asked = net::crypto::parse_request(request.certificate_request_pem());
    if (!asked) return refused("bad_request", std::move(asked.error()));
    JoinAsk ask;
    ask.public_key_pem = asked->key.to_pem();
    ask.claim.machine = proof.machine;
    ask.claim.principal = proof.principal;
    ask.claim.kerberos = proof.kerberos;
    ask.claim.key_sha256 = core::to_hex(asked->key.sha256());
    if (proof.certificate) ask.claim.proved_key_sha256 = core::to_hex(proof.certificate->public_key_sha256);
    return ask;
}

JoinResult<std::string> machine_of_principal(std::string_view principal, std::string_view realm) {
    auto identity =
        identify({.home_realm = std::string(realm), .allowed_realms = {}, .users = {}}, principal);
    if (!identity) {
        // A user's name that maps to none is a user's ticket all the same.
        const bool foreign = !principal.ends_with("@" + std::string(realm));
        return refused(foreign ? "wrong_realm" : "not_a_machine", std::move(identity.error()));
    }
    if (identity->kind != IdentityKind::kMachine) {
        return refused(
            "not_a_machine",
            Error{Errc::kDenied,
                  std::format("{} is no machine: only smack/HOST@{} may join; use the machine's keytab",
                              principal, realm),
                  0});
    }
    if (auto named = core::check_machine_name(identity->name); !named)
        return refused("not_a_machine", std::move(named.error()));
    return identity->name;
}

std::string public_refusal(RefusalReason reason, core::WallTime now) {
    switch (reason) {
        case RefusalReason::kClockSkew:
        case RefusalReason::kTicketNotYetValid:
            return std::format(
                "clock skew: this member's clock says {}; the machine's differs by more than 5 minutes: "
                "set the wrong one right",
                format_utc(now.unix_ms / 1000));
        case RefusalReason::kWrongRealm:
            return "wrong realm: the ticket is of another realm than the cluster's; use a keytab of the "
                   "cluster's realm";
        case RefusalReason::kNoKey:
            return "the ticket is for a name that this member does not have; use the name in its keytab as "
                   "seed, or "
                   "--seed-principal";
        case RefusalReason::kStaleKey:
            return "the ticket is sealed with a key that this member does not have; get a new one, or the "
                   "member's "
                   "keytab is old";
        case RefusalReason::kTicketExpired:
            return "the ticket has expired; get a new one";
        case RefusalReason::kBadBinding:
            return "the ticket was given over another connection than this one (channel binding differs): "
                   "somebody may "
                   "be in the middle";
        case RefusalReason::kReplay:
            return "this authentication was used before (replay)";
        default:
            return "authentication needed: a Kerberos ticket of a machine";
    }
}

Result<void> check_clocks(int64_t theirs_ms, int64_t ours_ms) {
    if (std::abs(theirs_ms - ours_ms) <= kJoinSkewMs) return {};
    return core::fail(
        Errc::kUnauthenticated,
        "clock skew: the machine's clock says {}, the member's says {}; they may differ by 5 minutes: set "
        "the wrong one right",
        format_utc(theirs_ms / 1000), format_utc(ours_ms / 1000));
}

}  // namespace smackd::auth
