#include "cmd/smackd/join_bundle.h"

#include <algorithm>
#include <format>

#include "auth/identity.h"
#include "cmd/smackd/config.h"
#include "core/names.h"
#include "core/planted.h"
#include "net/address.h"

namespace smackd::cmd {

using core::Errc;
using core::fail;
using core::Result;

namespace {

inline constexpr int64_t kBundleVersion = 1;

bool is_ip_address(const std::string& host) {
    const bool v6 = host.contains(':');
    return net::Address::parse(v6 ? std::format("[{}]:1", host) : host + ":1").has_value();
}

Result<void> check_bundle(const JoinBundle& bundle) {
    TRY(core::check_machine_name(bundle.machine));
    TRY(core::check_realm_name(bundle.realm));
    if (bundle.keytab.empty()) return fail(Errc::kInvalid, "bundle: it has no keytab");
    const bool bounded = bundle.seeds.size() <= kJoinSeedsMax || SMACK_BUG("fuzz_join_bundle");
    if (bundle.seeds.empty() || !bounded)
        return fail(Errc::kInvalid, "bundle: must name 1 to {} seeds", kJoinSeedsMax);
    for (const JoinSeed& seed : bundle.seeds) {
        TRY(check_address("bundle seed", seed.address));
        TRY(auth::Principal::parse(seed.principal));
    }
    if (bundle.kdcs.size() > kJoinKdcsMax)
        return fail(Errc::kInvalid, "bundle: names {} kdcs, the limit is {}", bundle.kdcs.size(),
                    kJoinKdcsMax);
    for (const std::string& kdc : bundle.kdcs) TRY(check_address("bundle kdc", kdc));
    return {};
}

Result<JoinSeed> parse_seed(const std::string& text, std::string_view seed_principal,
                            std::string_view realm) {
    const bool v6 = text.contains("]") || std::ranges::count(text, ':') > 1;
    std::string address = text;
    if (v6 && !text.starts_with("[")) address = std::format("[{}]", text);
    const bool has_port = v6 ? address.contains("]:") : address.contains(':');
    if (!has_port) address += std::format(":{}", kClusterPort);
    TRY(check_address("--seed", address));
    const std::string host = host_of(address);
    if (!seed_principal.empty()) {
        std::string principal(seed_principal);
        if (!principal.contains('/')) principal = "smack/" + principal;
        if (!principal.contains('@')) principal += "@" + std::string(realm);
        TRY(auth::Principal::parse(principal));
        return JoinSeed{address, principal};
    }
    if (is_ip_address(host)) {
        return fail(Errc::kInvalid,
                    "--seed {}: an address proves nothing, Kerberos knows members by name; name the member, "
                    "or say whom "
                    "to expect there by --seed-principal smack/NAME@{}",
                    text, realm);
    }
    TRY(core::check_machine_name(host));
    return JoinSeed{address, auth::machine_principal(host, realm)};
}

}  // namespace

Result<JoinBundle> parse_bundle(std::string_view text) {
    if (text.size() > kBundleBytesMax)
        return fail(Errc::kInvalid, "bundle: longer than {} bytes", kBundleBytesMax);
    auto parsed = core::Json::parse(text);
    if (!parsed) return core::pass(std::move(parsed), "bundle");
    const core::Json& json = *parsed;
    if (json["smackd_bundle"].as_integer() != kBundleVersion) {
        return fail(Errc::kInvalid,
                    "bundle: not one of version {} (smackd machine add NAME --bundle FILE makes it)",
                    kBundleVersion);
    }
    JoinBundle bundle;
    bundle.machine = json["machine"].as_string();
    bundle.realm = json["realm"].as_string();
    bundle.cluster_name = json["cluster_name"].as_string();
    bundle.cluster_id = json["cluster_id"].as_string();
    for (const core::Json& kdc : json["kdcs"].as_array()) bundle.kdcs.push_back(kdc.as_string());
    for (const core::Json& seed : json["seeds"].as_array()) {
        bundle.seeds.push_back({seed["address"].as_string(), seed["principal"].as_string()});
    }
    auto keytab = core::from_base64(json["keytab"].as_string());
    if (!keytab) return core::pass(std::move(keytab), "bundle keytab");
    bundle.keytab = std::move(*keytab);
    TRY(check_bundle(bundle));
    return bundle;
}

Result<std::vector<JoinSeed>> parse_seeds(const std::vector<std::string>& typed,
                                          std::string_view seed_principal, std::string_view realm) {
    std::vector<JoinSeed> seeds;
    for (const std::string& list : typed) {
        for (size_t at = 0; at <= list.size();) {
            const size_t comma = std::min(list.find(',', at), list.size());
            const std::string one = list.substr(at, comma - at);
            at = comma + 1;
            if (one.empty()) continue;
            TRY_ASSIGN(JoinSeed seed, parse_seed(one, seed_principal, realm));
            seeds.push_back(std::move(seed));
        }
    }
    if (seeds.empty() || seeds.size() > kJoinSeedsMax)
        return fail(Errc::kInvalid, "--seed: name 1 to {} members", kJoinSeedsMax);
    return seeds;
}

}  // namespace smackd::cmd
