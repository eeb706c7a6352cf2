#include "cmd/smackd/join.h"

#include <unistd.h>

#include <algorithm>
#include <format>

#include "auth/identity.h"
#include "auth/join_client.h"
#include "auth/kdc_process.h"
#include "auth/keytab.h"
#include "auth/secret_file.h"
#include "cmd/smackd/bootstrap.h"
#include "cmd/smackd/client/deadline.h"
#include "cmd/smackd/version.h"
#include "net/crypto/certificate.h"
#include "net/scope.h"
#include "net/socket.h"
#include "net/system_clock.h"
#include "net/tls/tls.h"
#include "storage/state/limits.h"

namespace smackd::cmd {

using core::Errc;
using core::fail;
using core::Result;

namespace {

inline constexpr size_t kKeyBytesMax = 64 * 1024;

std::string key_path(const DataDirectory& directory) {
    return directory.cluster() + "/node.key";
}
std::string certificate_path(const DataDirectory& directory) {
    return directory.cluster() + "/node.pem";
}
std::string ca_path(const DataDirectory& directory) {
    return directory.cluster() + "/ca.pem";
}
std::string members_path(const DataDirectory& directory) {
    return directory.cluster() + "/members.json";
}

constexpr std::string_view kNewKeys =
    "; was the machine removed, or given new keys since? On a server: smackd machine add NAME --bundle FILE "
    "(in a "
    "realm of the site: export its keytab anew)";

/// What is asked of the members, in turn.
struct Question {
    std::vector<JoinSeed> seeds;
    std::string keytab;
    std::string cluster_pin;
    wire::JoinRequest request;
    net::TlsClientOptions tls;
};

using TicketPtr = std::shared_ptr<auth::JoinTicket>;  // shared with a thread that may outlive the wait

Result<TicketPtr> get_ticket(const Question& question, const JoinSeed& seed) {
    auth::JoinTicket::Source source{question.keytab, {}, seed.principal};
    return run_with_deadline<TicketPtr>(kTicketLimit, std::format("getting a ticket for {}", seed.principal),
                                        [source = std::move(source)]() -> Result<TicketPtr> {
                                            TRY_ASSIGN(auth::JoinTicket ticket,
                                                       auth::JoinTicket::get(source));
                                            return std::make_shared<auth::JoinTicket>(std::move(ticket));
                                        });
}

net::Task<Result<wire::JoinAnswer>> exchange(net::Loop& loop, net::WorkerPool& workers,
                                             const Question& question, const JoinSeed& seed,
                                             const auth::JoinTicket* ticket, const core::Clock& clock) {
    net::TlsEngine engine(loop, workers);
    CO_TRY_ASSIGN(net::HostPort at, net::parse_host_port(seed.address));
    CO_TRY_ASSIGN(auto raw, co_await net::connect_host(loop, std::move(at), kJoinConnectLimit));
    CO_TRY_ASSIGN(auto config, net::TlsConfig::client(question.tls));
    CO_TRY_ASSIGN(auto stream, co_await engine.connect(std::move(raw), std::move(config), ""));
    auth::JoinWish wish{question.request, question.cluster_pin, clock};
    auto asked = ticket != nullptr ? auth::ask_to_join(*stream, *ticket, std::move(wish))
                                   : auth::ask_unproved(*stream, std::move(wish));
    auto answer = co_await net::with_deadline(loop, kJoinExchangeLimit, "joining", std::move(asked));
    co_await stream->close();
    co_return answer;
}

Result<wire::JoinAnswer> ask(const Question& question, const JoinSeed& seed, const auth::JoinTicket* ticket) {
    net::SystemClock clock;
    net::Loop loop("join", {});
    net::WorkerPool workers("join", 1, 16);
    return net::block_on(loop, exchange(loop, workers, question, seed, ticket, clock));
}

/// Another member would say the same.
bool is_final(const core::Error& error) {
    return error.message.starts_with("refused: ") && error.code != Errc::kUnavailable &&
           error.code != Errc::kBusy && error.code != Errc::kTimeout;
}

Result<wire::JoinAnswer> ask_members(const Question& question, bool with_ticket, core::Error* kdc_error) {
    std::string problems;
    core::Error last{Errc::kUnavailable, "no member to ask", 0};
    for (const JoinSeed& seed : question.seeds) {
        Result<wire::JoinAnswer> answer = fail(Errc::kUnavailable, "not asked");
        if (with_ticket) {
            auto ticket = get_ticket(question, seed);
            if (ticket) {
                answer = ask(question, seed, ticket->get());
            } else {
                if (kdc_error != nullptr) *kdc_error = ticket.error();
                const bool unknown = ticket.error().code == Errc::kUnauthenticated;
                answer = core::pass(std::move(ticket));
                if (unknown) answer.error().message += kNewKeys;
            }
        } else {
            answer = ask(question, seed, nullptr);
        }
        if (answer) return answer;
        last = answer.error();
        if (is_final(last)) return fail(last.code, "{}: {}", seed.address, last.message);
        problems += std::format("{}{}: {}", problems.empty() ? "" : "; ", seed.address, last.message);
    }
    last.message = problems;
    return std::unexpected(std::move(last));
}

/// The servers, and in krb5.conf their KDCs where the realm is the cluster's: that of server `near` first.
template <class List>  // wire::JoinAnswer, wire::ServerList
Result<void> write_list(const DataDirectory& directory, const List& list, const std::string& realm,
                        const std::string& near) {
    core::Json members = core::Json::array();
    for (const wire::JoinMember& member : list.members()) {
        members.push(core::Json::object()
                         .set("node_id", member.node_id())
                         .set("machine", member.machine())
                         .set("address", member.address()));
    }
    core::Json json;
    json.set("servers", std::move(members));
    if constexpr (requires { list.has_registry(); }) {
        if (list.has_registry()) json.set("registry", core::to_base64(list.registry().SerializeAsString()));
    }
    TRY(replace_file(members_path(directory), json.dump_pretty() + "\n", 0600));
    if (list.kdcs().empty()) return {};
    const std::string host = near.substr(0, near.rfind(':')) + ":";
    std::vector<std::string> kdcs(list.kdcs().begin(), list.kdcs().end());
    std::ranges::stable_partition(kdcs, [&](const std::string& kdc) { return kdc.starts_with(host); });
    return replace_file(client_krb5_conf_path(directory), auth::client_krb5_conf(realm, kdcs), 0644);
}

Result<ClusterSecrets> open_secrets(const wire::JoinAnswer& answer) {
    TRY_ASSIGN(auth::SealKey cluster_key, auth::SealKey::from_bytes(answer.cluster_key()));
    auto open = [&](std::string_view name) -> Result<core::Bytes> {
        for (const wire::JoinSecret& secret : answer.secrets()) {
            if (secret.name() == name) return cluster_key.open(name, secret.sealed());
        }
        return fail(Errc::kNotFound, "the member sent no {}", name);
    };
    TRY_ASSIGN(core::Bytes ca_key, open(kCaKeySecret));
    TRY_ASSIGN(auth::ClusterCa ca, auth::ClusterCa::load(std::move(ca_key), answer.ca_pem()));
    TRY_ASSIGN(core::Bytes token_pem, open(kTokenKeySecret));
    TRY_ASSIGN(auth::TokenKey token_key, auth::TokenKey::from_private_pem(token_pem));
    ClusterSecrets secrets{cluster_key, std::move(ca), std::move(token_key), std::nullopt};
    if (!answer.embedded_realm()) return secrets;
    TRY_ASSIGN(core::Bytes master, open(kRealmKeySecret));
    TRY_ASSIGN(secrets.master_key, auth::MasterKey::from_text(master));
    auth::wipe(master);
    return secrets;
}

std::string role_of(const wire::JoinAnswer& answer) {
    for (const std::string& role : answer.roles()) {
        if (role == "server") return role;
    }
    return "agent";
}

NodeIdentity identity_of(const wire::JoinAnswer& answer, std::string address) {
    NodeIdentity identity{answer.node_id(),    answer.machine(), answer.cluster_name(),
                          answer.cluster_id(), answer.realm(),   answer.embedded_realm()};
    identity.role = role_of(answer);
    identity.generation = answer.generation();
    identity.epoch = answer.epoch();
    identity.address = std::move(address);
    return identity;
}

/// Everything but node.json, by which the node is there.
Result<void> write_answer(const DataDirectory& directory, const wire::JoinAnswer& answer) {
    TRY(replace_file(ca_path(directory), answer.ca_pem(), 0644));
    TRY(replace_file(certificate_path(directory), answer.certificate_pem(), 0644));
    TRY(write_list(directory, answer, answer.realm(), {}));
    if (role_of(answer) != "server") return {};
    TRY_ASSIGN(const ClusterSecrets secrets, open_secrets(answer));
    return write_cluster_secrets(directory, secrets);
}

Result<void> write_keytabs(const DataDirectory& directory, const core::Bytes& bytes) {
    TRY_ASSIGN(const auth::Keytab keytab, auth::Keytab::parse(bytes));
    auth::Keytab http;
    for (const auth::KeytabEntry& entry : keytab.entries()) {
        if (entry.principal.starts_with("HTTP/")) http.add(entry);
    }
    TRY(keytab.write(node_keytab_path(directory)));
    return http.write(http_keytab_path(directory));
}

Result<std::string> csr(const std::string& key_pem, const std::string& machine) {
    TRY_ASSIGN(const net::crypto::KeyPair key, net::crypto::KeyPair::from_pem(key_pem));
    return auth::join_certificate_request(key, machine);
}

wire::JoinRequest request_of(const std::string& csr_pem, const std::string& version) {
    wire::JoinRequest request;
    request.set_certificate_request_pem(csr_pem);
    request.set_version(version);
    request.set_feature_level(storage::state::kFeatureLevelMax);
    return request;
}

// Names are not canonicalised in it; the seeds' principals are exact.
Result<void> prepare_kerberos(const DataDirectory& directory, const JoinBundle& bundle) {
    if (bundle.kdcs.empty()) return {};
    const std::string path = client_krb5_conf_path(directory);
    TRY(replace_file(path, auth::client_krb5_conf(bundle.realm, bundle.kdcs), 0644));
    auth::set_kerberos_environment(path);
    return {};
}

/// Joining again is for the node that is there.
Result<void> check_same_node(const DataDirectory& directory, const NodeIdentity& before,
                             const JoinBundle& bundle) {
    const bool same_cluster = bundle.cluster_id.empty() || bundle.cluster_id == before.cluster_id;
    if (before.name == bundle.machine && same_cluster) return {};
    return fail(Errc::kConflict, "{} holds node {} of cluster {} already; choose another --data-dir",
                directory.path(), before.name, before.cluster_name);
}

net::TlsClientOptions join_tls() {
    net::TlsClientOptions tls;
    tls.alpn = {std::string(auth::kJoinAlpn)};
    tls.versions = net::TlsVersions::kOnly13;
    tls.verify = false;  // Kerberos proves the member, bound to this very session
    return tls;
}

}  // namespace

Result<NodeIdentity> join_cluster(const JoinPlan& plan) {
    const DataDirectory directory(plan.directory);
    TRY(directory.make());
    TRY_ASSIGN(const DirectoryLock lock, DirectoryLock::take(directory));
    auto before = read_identity(directory);
    if (before) TRY(check_same_node(directory, *before, plan.bundle));
    TRY(prepare_kerberos(directory, plan.bundle));
    TRY(write_keytabs(directory, plan.bundle.keytab));
    TRY_ASSIGN(const std::string key_pem, load_or_create_tls_key(key_path(directory)));
    TRY_ASSIGN(const std::string csr_pem, csr(key_pem, plan.bundle.machine));
    Question question{plan.bundle.seeds, node_keytab_path(directory), plan.bundle.cluster_id,
                      request_of(csr_pem, plan.version), join_tls()};
    question.request.set_role(plan.role);
    question.request.set_address(plan.address);
    question.request.set_zone(plan.zone);
    if (before) {
        question.request.set_node_id(before->node_id);
        question.request.set_epoch(std::max<uint64_t>(before->epoch, 1));
    }
    TRY_ASSIGN(const wire::JoinAnswer answer, ask_members(question, true, nullptr));
    TRY(write_answer(directory, answer));
    NodeIdentity identity = identity_of(answer, plan.address);
    TRY(write_identity(directory, identity));
    return identity;
}

Result<Renewal> renew_certificate(const DataDirectory& directory, const std::string& version) {
    TRY_ASSIGN(const NodeIdentity identity, read_identity(directory));
    TRY_ASSIGN(const TlsIdentity current, read_node_identity(directory));
    TRY_ASSIGN(const std::string ca_pem, read_ca(directory));
    // An expired certificate proves nothing any more, nor does one of a clock that was ahead. The keytab
    // does, and the key that the cluster knows: this is joining again. Else the same next key until the
    // answer is on disk: an answer that was lost is given again.
    const auto decision =
        auth::decide_renewal(current.not_before_ms, current.not_after_ms, net::SystemClock().wall(), 0);
    const bool expired = decision.action == auth::RenewalDecision::Action::kExpired;
    const std::string next_path = key_path(directory) + ".next";
    std::string next_key = current.key_pem;
    if (!expired) {
        TRY_ASSIGN(next_key, load_or_create_tls_key(next_path));
    }
    TRY_ASSIGN(const std::string csr_pem, csr(next_key, identity.name));
    Question question{
        {}, node_keytab_path(directory), identity.cluster_id, request_of(csr_pem, version), join_tls()};
    for (const auth::AdmittedNode& server : read_join_members(directory)) {
        question.seeds.push_back({server.address, auth::machine_principal(server.machine, identity.realm)});
    }
    question.request.set_node_id(identity.node_id);
    question.request.set_role(identity.role);
    question.request.set_address(identity.address);
    question.request.set_epoch(identity.epoch);
    question.tls.verify = true;
    question.tls.ca_pem = ca_pem;
    if (!expired) {
        question.tls.certificate_pem = current.certificate_pem;
        question.tls.key_pem = current.key_pem;
    }
    core::Error kdc_error;
    kdc_error.message.clear();
    auto answer = ask_members(question, true, &kdc_error);
    Renewal renewal;
    const bool no_kdc = !answer && !expired &&
                        (kdc_error.code == Errc::kUnavailable || kdc_error.code == Errc::kTimeout) &&
                        !kdc_error.message.empty();
    if (no_kdc) {
        renewal.proved = false;
        renewal.kdc_error = kdc_error.message;
        answer = ask_members(question, false, nullptr);
    }
    if (!answer) return core::pass(std::move(answer));
    TRY(replace_file(ca_path(directory), answer->ca_pem(), 0644));
    TRY(write_list(directory, *answer, answer->realm(), {}));
    // Between the two the certificate is of the next key, which read_node_identity then takes.
    TRY(replace_file(certificate_path(directory), answer->certificate_pem(), 0644));
    if (!expired && ::rename(next_path.c_str(), key_path(directory).c_str()) != 0)
        return core::fail_errno(errno, "renaming " + next_path);
    renewal.identity = identity_of(*answer, identity.address);
    TRY(write_identity(directory, renewal.identity));
    return renewal;
}

Result<TlsIdentity> read_node_identity(const DataDirectory& directory) {
    TRY_ASSIGN(std::string pem, read_small_file(certificate_path(directory)));
    TRY_ASSIGN(const auto certificate, net::crypto::parse_certificate(pem));
    for (const std::string& path : {key_path(directory), key_path(directory) + ".next"}) {
        auto key_pem = auth::read_secret_file(path, kKeyBytesMax);
        if (!key_pem) continue;
        TRY_ASSIGN(const net::crypto::KeyPair key, net::crypto::KeyPair::from_pem(*key_pem));
        if (key.public_key().sha256() != certificate.public_key_sha256) continue;
        return TlsIdentity{std::move(*key_pem), std::move(pem), certificate.not_before.unix_ms,
                           certificate.not_after.unix_ms};
    }
    return fail(Errc::kNotFound, "{} is of none of the keys beside it; join again: smackd join",
                certificate_path(directory));
}

Result<std::string> read_ca(const DataDirectory& directory) {
    return read_small_file(ca_path(directory));
}

Result<void> write_servers(const DataDirectory& directory, const wire::ServerList& servers,
                           const std::string& realm, const std::string& near) {
    return write_list(directory, servers, realm, near);
}

Result<auth::Registry> read_join_registry(const DataDirectory& directory, const std::string& cluster_id) {
    auto text = read_small_file(members_path(directory));
    if (!text) return core::pass(std::move(text));
    TRY_ASSIGN(const core::Json json, core::Json::parse(*text));
    TRY_ASSIGN(const core::Bytes bytes, core::from_base64(json["registry"].as_string()));
    if (bytes.empty()) return fail(Errc::kNotFound, "{} has no registry", members_path(directory));
    return auth::Registry::decode(bytes, cluster_id);
}

std::vector<auth::AdmittedNode> read_join_members(const DataDirectory& directory) {
    std::vector<auth::AdmittedNode> members;
    auto text = read_small_file(members_path(directory));
    if (!text) return members;
    auto json = core::Json::parse(*text);
    if (!json) return members;
    for (const core::Json& server : (*json)["servers"].as_array()) {
        members.push_back({core::NodeId{static_cast<uint64_t>(server["node_id"].as_integer())},
                           server["machine"].as_string(), server["address"].as_string(), true});
    }
    return members;
}

}  // namespace smackd::cmd
