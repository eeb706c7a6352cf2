#include "cmd/smackd/node_keys.h"

#include <unistd.h>

#include <algorithm>
#include <format>

#include "auth/secret_file.h"
#include "net/address.h"
#include "net/crypto/certificate.h"
#include "net/crypto/key.h"

namespace smackd::cmd {
namespace {

inline constexpr size_t kSecretFileBytesMax = 64 * 1024;

// The file of a sealed value in the data directory.
std::string file_of(const DataDirectory& directory, std::string_view name) {
    if (name == kCaKeySecret) return directory.cluster() + "/ca.key";
    if (name == kTokenKeySecret) return directory.cluster() + "/token.key";
    return directory.cluster() + "/realm.key";
}

core::Result<core::Bytes> open_sealed(const DataDirectory& directory, const auth::SealKey& key,
                                      std::string_view name) {
    std::string path = file_of(directory, name);
    TRY_ASSIGN(core::Bytes sealed, auth::read_secret_file(path, kSecretFileBytesMax));
    auto opened = key.open(name, sealed);
    if (!opened) return core::pass(std::move(opened), path);
    return opened;
}

bool is_ip_address(const std::string& name) {
    bool v6 = name.find(':') != std::string::npos;
    return net::Address::parse(v6 ? std::format("[{}]:1", name) : name + ":1").has_value();
}

core::Result<std::string> public_pem(const std::string& key_pem) {
    TRY_ASSIGN(net::crypto::KeyPair key, net::crypto::KeyPair::from_pem(key_pem));
    return key.public_key().to_pem();
}

// A stored certificate is good when it is of this key, signed by this CA and not yet in the second half of
// its life.
std::optional<TlsIdentity> stored_identity(const std::string& path, const std::string& key_pem,
                                           const auth::ClusterCa& ca, core::WallTime now) {
    auto pem = read_small_file(path);
    auto key = public_pem(key_pem);
    if (!pem || !key) return std::nullopt;
    auto certificate = net::crypto::parse_certificate(*pem);
    auto own_key = net::crypto::PublicKey::from_pem(*key);
    if (!certificate || !own_key || own_key->to_der() != certificate->public_key_der) return std::nullopt;
    if (!net::crypto::verify_certificate(*pem, ca.certificate_pem(), now)) return std::nullopt;
    int64_t begin = certificate->not_before.unix_ms;
    int64_t end = certificate->not_after.unix_ms;
    auto decision = auth::decide_renewal(begin, end, now, 0);
    if (decision.action != auth::RenewalDecision::Action::kNone) return std::nullopt;
    return TlsIdentity{key_pem, *pem, begin, end};
}

}  // namespace

core::Result<ClusterSecrets> ClusterSecrets::make(std::string_view cluster_name, bool embedded_realm,
                                                  core::WallTime now) {
    TRY_ASSIGN(auth::ClusterCa ca, auth::ClusterCa::create(cluster_name, now));
    TRY_ASSIGN(auth::TokenKey token_key, auth::TokenKey::generate());
    ClusterSecrets secrets{auth::SealKey::random(), std::move(ca), std::move(token_key), std::nullopt};
    if (embedded_realm) {
        TRY_ASSIGN(secrets.master_key, auth::MasterKey::random());
    }
    return secrets;
}

core::Result<std::vector<ClusterSecrets::Sealed>> ClusterSecrets::seal() const {
    std::vector<Sealed> sealed;
    auto add = [&](std::string_view name, std::string plain) -> core::Result<void> {
        auto bytes = cluster_key.seal(name, plain);
        auth::wipe(plain);
        if (!bytes) return core::pass(std::move(bytes));
        sealed.push_back({std::string(name), std::move(*bytes)});
        return {};
    };
    TRY(add(kCaKeySecret, ca.key_pem()));
    TRY(add(kTokenKeySecret, token_key.private_key_pem));
    if (master_key) TRY(add(kRealmKeySecret, master_key->to_text()));
    return sealed;
}

core::Result<void> write_cluster_secrets(const DataDirectory& directory, const ClusterSecrets& secrets) {
    TRY_ASSIGN(auth::SealKey server_key,
               auth::load_or_create_server_key(directory.cluster() + "/server.key"));
    TRY(auth::write_cluster_key(directory.cluster() + "/cluster.key", server_key, secrets.cluster_key));
    TRY(replace_file(directory.cluster() + "/ca.pem", secrets.ca.certificate_pem(), 0644));
    TRY_ASSIGN(auto sealed, secrets.seal());
    for (const auto& [name, bytes] : sealed) TRY(auth::write_secret_file(file_of(directory, name), bytes));
    return {};
}

core::Result<ClusterSecrets> read_cluster_secrets(const DataDirectory& directory) {
    // A new one would open nothing, and hide what is missing.
    const std::string server_key_path = directory.cluster() + "/server.key";
    if (::access(server_key_path.c_str(), F_OK) != 0)
        return core::fail(
            core::Errc::kNotFound,
            "{} is missing, and without it nothing here can be opened: put it back from a copy, or "
            "let this machine join anew (smackd machine remove on another server, then smackd join)",
            server_key_path);
    TRY_ASSIGN(auth::SealKey server_key, auth::load_or_create_server_key(server_key_path));
    TRY_ASSIGN(auth::SealKey cluster_key,
               auth::read_cluster_key(directory.cluster() + "/cluster.key", server_key));
    TRY_ASSIGN(std::string ca_pem, read_small_file(directory.cluster() + "/ca.pem"));
    TRY_ASSIGN(core::Bytes ca_key, open_sealed(directory, cluster_key, kCaKeySecret));
    auto loaded = auth::ClusterCa::load(std::move(ca_key), std::move(ca_pem));
    if (!loaded)
        return core::fail(
            loaded.error().code,
            "{0}/ca.pem and {0}/ca.key: {1}; are they of two clusters? Put back what was changed, or let "
            "this machine join anew",
            directory.cluster(), loaded.error().message);
    auth::ClusterCa ca = std::move(*loaded);
    TRY_ASSIGN(core::Bytes token_pem, open_sealed(directory, cluster_key, kTokenKeySecret));
    TRY_ASSIGN(auth::TokenKey token_key, auth::TokenKey::from_private_pem(token_pem));
    ClusterSecrets secrets{std::move(cluster_key), std::move(ca), std::move(token_key), std::nullopt};
    auto master = open_sealed(directory, secrets.cluster_key, kRealmKeySecret);
    if (!master && master.error().code == core::Errc::kNotFound) return secrets;
    if (!master) return core::pass(std::move(master));
    TRY_ASSIGN(secrets.master_key, auth::MasterKey::from_text(*master));
    auth::wipe(*master);
    return secrets;
}

core::Result<std::string> load_or_create_tls_key(const std::string& path) {
    auto found = auth::read_secret_file(path, kSecretFileBytesMax);
    if (found || found.error().code != core::Errc::kNotFound) return found;
    TRY_ASSIGN(net::crypto::KeyPair key, net::crypto::KeyPair::generate());
    std::string pem = key.to_pem();
    TRY(auth::write_secret_file(path, pem));
    return pem;
}

core::Result<TlsIdentity> node_tls_identity(const DataDirectory& directory, const auth::ClusterCa& ca,
                                            const NodeIdentity& node, core::WallTime now) {
    TRY_ASSIGN(std::string key_pem, load_or_create_tls_key(directory.cluster() + "/node.key"));
    std::string path = directory.cluster() + "/node.pem";
    if (auto stored = stored_identity(path, key_pem, ca, now)) return *stored;
    auth::NodeCertificateRequest request;
    request.node = core::NodeId{node.node_id};
    request.machine = node.name;
    request.generation = node.generation;
    request.server = node.role == "server";
    TRY_ASSIGN(request.public_key_pem, public_pem(key_pem));
    TRY_ASSIGN(auth::IssuedCertificate issued, ca.issue_node(request, now));
    TRY(replace_file(path, issued.pem, 0644));
    return TlsIdentity{std::move(key_pem), issued.pem, issued.not_before_ms, issued.not_after_ms};
}

core::Result<TlsIdentity> api_tls_identity(const DataDirectory& directory, const auth::ClusterCa& ca,
                                           const std::vector<std::string>& host_names, core::WallTime now) {
    TRY_ASSIGN(std::string key_pem, load_or_create_tls_key(directory.cluster() + "/api.key"));
    TRY_ASSIGN(std::string public_key, public_pem(key_pem));
    std::vector<std::string> dns;
    std::vector<std::string> addresses;
    for (const std::string& name : host_names) (is_ip_address(name) ? addresses : dns).push_back(name);
    TRY_ASSIGN(auth::IssuedCertificate issued, ca.issue_server(public_key, dns, addresses, now));
    return TlsIdentity{std::move(key_pem), issued.pem, issued.not_before_ms, issued.not_after_ms};
}

}  // namespace smackd::cmd
