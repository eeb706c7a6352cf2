#include "cmd/smackd/node/edge_certificates.h"

#include <sys/stat.h>

#include <format>

#include "auth/cluster_ca.h"
#include "auth/secret_file.h"
#include "cmd/smackd/node/certificate_file.h"
#include "net/crypto/key.h"
#include "services/apps/edge_issuer.h"

namespace smackd::cmd {

using core::Result;

namespace {

constexpr size_t kStoreBytesMax = 32UL << 20;

/// Another one when the file is another.
std::string stamp_of(const std::string& path) {
    struct stat found{};
    if (::stat(path.c_str(), &found) != 0) return "none";
    return std::format("{}.{}.{}.{}", found.st_ino, found.st_size, found.st_mtim.tv_sec,
                       found.st_mtim.tv_nsec);
}

Result<wire::EdgeCertificate> read_certificate_file(const std::string& path) {
    TRY_ASSIGN(const core::Bytes text, auth::read_secret_file(path, kCertificateFileBytesMax));
    return parse_certificate_file(text);
}

}  // namespace

EdgeCertificates::EdgeCertificates(std::vector<std::string> files, std::string store, Environment environment)
    : store_(std::move(store)), environment_(std::move(environment)), scope_(environment_.loop) {
    for (std::string& path : files) files_[std::move(path)];
    load();
}

net::Task<void> EdgeCertificates::close() {
    co_await scope_.close();
}

void EdgeCertificates::look(std::set<std::string> hosts) {
    hosts_ = std::move(hosts);
    std::erase_if(issued_,
                  [this](const auto& one) { return !one.first.empty() && !hosts_.contains(one.first); });
    const core::Instant now = environment_.clock.now();
    if (now >= files_again_ && !files_.empty() && !std::exchange(reading_, true)) scope_.spawn(read_files());
    if (now >= issue_again_ && !issuing_ && !due().empty()) {
        issuing_ = true;
        scope_.spawn(issue());
    }
}

void EdgeCertificates::fill(wire::EdgeTable& table) const {
    bool first = true;  // answers to names that nobody has, as HAProxy's first does
    for (const auto& [path, file] : files_) {
        if (file.row.chain_pem().empty()) continue;
        wire::EdgeCertificate* row = table.add_certificates();
        *row = file.row;
        row->set_id("file " + path);
        if (std::exchange(first, false)) {
            wire::EdgeCertificate* any = table.add_certificates();
            *any = file.row;
            any->set_id("default");
            any->clear_server_names();
        }
    }
    for (const auto& [name, issued] : issued_) {
        if (name.empty() ? !first : is_covered(name)) continue;
        wire::EdgeCertificate* row = table.add_certificates();
        row->set_id(name.empty() ? "default" : "host " + name);
        if (!name.empty()) row->add_server_names(name);
        row->set_chain_pem(issued.pem());
        row->set_key_pem(key_pem_);
    }
}

bool EdgeCertificates::is_covered(const std::string& host) const {
    return std::ranges::any_of(files_, [&](const auto& file) { return covers(file.second.row, host); });
}

// ---- the operator's files

net::Task<void> EdgeCertificates::read_files() {
    bool changed = false;
    for (auto& [path, file] : files_) {
        auto stamp = co_await environment_.workers.run<std::string>(
            environment_.loop, [&path]() -> Result<std::string> { return stamp_of(path); });
        if (!stamp || *stamp == file.stamp) continue;
        auto read = co_await environment_.workers.run<wire::EdgeCertificate>(
            environment_.loop, [&path] { return read_certificate_file(path); });
        if (scope_.cancelled()) co_return;
        file.stamp = *stamp;
        file.problem = read ? "" : read.error().message;
        if (read) {
            file.row = std::move(*read);
            changed = true;
            environment_.logger.info("certificate of the ingress", {{"file", path}});
        } else {
            environment_.logger.error("alarm certificate of the ingress",
                                      {{"file", path}, {"what", file.problem}});
        }
    }
    reading_ = false;
    files_again_ = environment_.clock.now() + kCertificateFileLook;
    if (changed) environment_.changed();
}

// ---- those of the cluster's CA

bool EdgeCertificates::is_old(const wire::EdgeIssuedCertificate& certificate) const {
    return auth::decide_renewal(certificate.not_before_ms(), certificate.not_after_ms(),
                                environment_.clock.wall(), 0)
               .action != auth::RenewalDecision::Action::kNone;
}

/// What is to be asked for, at most one request of it; "" comes alone.
std::vector<std::string> EdgeCertificates::due() const {
    const auto needs = [this](const std::string& name) {
        const auto found = issued_.find(name);
        return found == issued_.end() || is_old(found->second);
    };
    if (needs("")) return {""};
    std::vector<std::string> names;
    const core::Instant now = environment_.clock.now();
    for (const std::string& host : hosts_) {
        if (names.size() == services::kEdgeNamesMax) break;
        const auto refused = refused_.find(host);
        const bool waits = refused != refused_.end() && now < refused->second;
        const bool room = issued_.contains(host) || issued_.size() + names.size() < kEdgeIssuedMax;
        if (!waits && room && !is_covered(host) && needs(host)) names.push_back(host);
    }
    return names;
}

net::Task<void> EdgeCertificates::issue() {
    for (auto names = due(); !names.empty(); names = due()) {
        auto issued = co_await issue_some(std::move(names));
        if (scope_.cancelled()) co_return;
        if (!issued) {
            issue_again_ = environment_.clock.now() + kEdgeIssueRetry;
            if (!std::exchange(told_, true))
                environment_.logger.warning("no certificates by the cluster's CA for the ingress",
                                            {{"why", issued.error().message}});
            break;
        }
        told_ = false;
        environment_.changed();
    }
    issuing_ = false;
}

net::Task<Result<void>> EdgeCertificates::issue_some(std::vector<std::string> names) {
    CO_TRY(make_key());
    wire::EdgeCertificateRequest request;
    request.set_public_key_pem(public_key_pem_);
    for (const std::string& name : names) {
        if (!name.empty()) request.add_names(name);
    }
    CO_TRY_ASSIGN(const wire::EdgeIssuedCertificates answer, co_await environment_.issue(std::move(request)));
    for (const std::string& name : names) refused_[name] = environment_.clock.now() + kEdgeRefusedRetry;
    for (const wire::EdgeIssuedCertificate& one : answer.certificates()) {
        refused_.erase(one.name());
        issued_[one.name()] = one;
    }
    // What was asked for itself cannot be refused; without it the rest would wait for ever.
    if (!issued_.contains(""))
        co_return core::fail(core::Errc::kCorrupt, "the server gave another certificate");
    std::erase_if(refused_, [this](const auto& one) { return !hosts_.contains(one.first); });
    save();
    co_return Result<void>();
}

Result<void> EdgeCertificates::make_key() {
    if (!key_pem_.empty()) return {};
    TRY_ASSIGN(const auto key, net::crypto::KeyPair::generate());
    key_pem_ = key.to_pem();
    public_key_pem_ = key.public_key().to_pem();
    return {};
}

/// What cannot be read is made anew.
void EdgeCertificates::load() {
    const auto bytes = auth::read_secret_file(store_, kStoreBytesMax);
    wire::EdgeCertificateStore store;
    if (!bytes || !store.ParseFromString(*bytes)) return;
    auto key = net::crypto::KeyPair::from_pem(store.key_pem());
    if (!key) return;
    key_pem_ = store.key_pem();
    public_key_pem_ = key->public_key().to_pem();
    for (const wire::EdgeIssuedCertificate& one : store.certificates()) issued_[one.name()] = one;
}

void EdgeCertificates::save() {
    wire::EdgeCertificateStore store;
    store.set_key_pem(key_pem_);
    for (const auto& [name, issued] : issued_) *store.add_certificates() = issued;
    if (auto written = auth::write_secret_file(store_, store.SerializeAsString()); !written)
        environment_.logger.warning("certificates of the ingress are not kept",
                                    {{"why", written.error().message}});
}

}  // namespace smackd::cmd
