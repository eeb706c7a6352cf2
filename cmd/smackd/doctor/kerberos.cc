#include "cmd/smackd/doctor/kerberos.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <format>
#include <ranges>

#include "auth/identity.h"
#include "cmd/smackd/client/credentials.h"
#include "cmd/smackd/config.h"
#include "cmd/smackd/doctor/data.h"
#include "cmd/smackd/doctor/datagram.h"
#include "cmd/smackd/node/own_address.h"
#include "net/system_clock.h"

namespace smackd::cmd {
namespace {

std::string new_keytab(const KerberosChecks& checks) {
    if (checks.embedded)
        return std::format("smackd machine keytab {} --out {}.new && mv {}.new {}", checks.name,
                           checks.keytab, checks.keytab, checks.keytab);
    return std::format("kadmin -q 'ktadd -k {} smack/{}{}'", checks.keytab, checks.name,
                       checks.server ? " HTTP/" + checks.name : "");
}

Finding check_keytab(const KerberosChecks& checks) {
    auto keytab = auth::Keytab::read(checks.keytab);
    if (!keytab && ::geteuid() != 0 && ::access(checks.keytab.c_str(), R_OK) != 0 && errno == EACCES)
        return failed("keytab", keytab.error().message, "the keytab is root's alone: run the doctor as root",
                      "sudo smackd doctor");
    if (!keytab)
        return failed("keytab", keytab.error().message,
                      "put the machine's keytab there, readable by root only", new_keytab(checks));
    struct stat info{};
    if (::stat(checks.keytab.c_str(), &info) == 0 && (info.st_mode & 0077U) != 0) {
        Finding open = judge_mode(checks.keytab, info.st_mode & 0777U, 0600);
        open.check = "keytab";
        return open;
    }
    return judge_keytab(*keytab, checks);
}

core::Result<auth::KdcAnswer> ask_kdc(const std::string& kdc, core::BytesView question) {
    auto at = net::Address::parse(kdc);
    if (!at) {
        const std::vector<std::string> meant = addresses_of_name(host_of(kdc));
        if (meant.empty())
            return core::fail(core::Errc::kNotFound, "{}: the name means nothing here", host_of(kdc));
        at = net::Address::parse(std::format("{}:{}", meant.front(), port_of(kdc)));
        if (!at) return core::pass(std::move(at));
    }
    TRY_ASSIGN(const core::Bytes answer, ask_by_datagram(*at, question, kKdcLimit));
    return auth::read_kdc_answer(answer);
}

Finding silent_kdc(const std::string& kdc, const core::Error& error, const KerberosChecks& checks) {
    const bool down = error.code == core::Errc::kUnavailable;
    return failed("KDC", std::format("KDC {}: {}", kdc, error.message),
                  down ? "start it there; nobody gets a ticket from it meanwhile"
                       : "is the machine up, and does a firewall let UDP and TCP 88 through?",
                  checks.embedded ? std::format("ssh {} systemctl restart smackd", host_of(kdc))
                                  : std::format("ssh {} systemctl restart krb5-kdc", host_of(kdc)));
}

std::vector<std::string> kdcs_of(const KerberosChecks& checks, Findings& out) {
    if (checks.kdcs) return *checks.kdcs;
    auto found = auth::configured_kdcs(checks.realm);
    if (!found) {
        out.push_back(
            failed("KDC", found.error().message, "correct the file", "cat ${KRB5_CONFIG:-/etc/krb5.conf}"));
        return {};
    }
    return *found;
}

/// A ticket by the keytab: whether the KDC has the same keys.
Finding check_ticket(const KerberosChecks& checks) {
    const std::string machine = auth::machine_principal(checks.name, checks.realm);
    auto ticket = keytab_credential(checks.keytab, machine);
    if (ticket) return fine("ticket of the node", std::format("{} gets one by its keytab", machine));
    return failed("ticket of the node", ticket.error().message,
                  "the keytab and the KDC have different keys, or neither knows the other: export it anew",
                  new_keytab(checks));
}

}  // namespace

Findings examine_kerberos(const KerberosChecks& checks) {
    Findings out{check_keytab(checks)};
    const std::vector<std::string> kdcs = kdcs_of(checks, out);
    auto question = auth::kdc_question(auth::machine_principal(checks.name, checks.realm));
    if (!question) {
        out.push_back(failed("KDC", question.error().message, "correct krb5.conf",
                             "cat ${KRB5_CONFIG:-/etc/krb5.conf}"));
        return out;
    }
    bool known = kdcs.empty() && !checks.embedded;
    for (const std::string& kdc : kdcs | std::views::take(kKdcsAsked)) {
        auto answer = ask_kdc(kdc, *question);
        if (!answer) {
            out.push_back(silent_kdc(kdc, answer.error(), checks));
            continue;
        }
        out.push_back(judge_kdc(kdc, *answer, checks));
        known |= answer->says == auth::KdcAnswer::Says::kKnows;
        if (answer->time_ms)
            out.push_back(
                judge_clock(net::SystemClock().wall().unix_ms, *answer->time_ms, "that of KDC " + kdc));
    }
    if (known && out.front().verdict == Verdict::kOk) out.push_back(check_ticket(checks));
    return out;
}

Finding judge_clock(int64_t our_ms, int64_t their_ms, std::string_view whose) {
    const int64_t skew = std::abs(our_ms - their_ms);
    std::string message =
        std::format("this machine's clock is {} {} {}", core::format_duration(core::milliseconds(skew)),
                    our_ms < their_ms ? "behind" : "ahead of", whose);
    if (skew < kClockSkewWarnMs) return fine("clock", std::format("is in step with {}", whose));
    const std::string advice = "set both clocks by NTP: Kerberos refuses clocks that differ by 5 minutes";
    const std::string fix = "timedatectl set-ntp true && chronyc makestep";
    return skew < kClockSkewFailMs ? warned("clock", std::move(message), advice, fix)
                                   : failed("clock", std::move(message), advice, fix);
}

Finding judge_keytab(const auth::Keytab& keytab, const KerberosChecks& checks) {
    std::vector<std::string> wanted{auth::machine_principal(checks.name, checks.realm)};
    if (checks.server) wanted.push_back(auth::http_principal(checks.name, checks.realm));
    for (const std::string& principal : wanted) {
        auto has = keytab.require(principal, checks.keytab);
        if (has) continue;
        const std::string realm = "@" + checks.realm;
        const auto elsewhere = [&](const std::string& one) { return !one.ends_with(realm); };
        const std::vector<std::string> there = keytab.principals();
        const bool foreign = !there.empty() && std::ranges::all_of(there, elsewhere);
        return failed(
            "keytab", has.error().message,
            foreign ? std::format("it is of another realm than {}: export the machine's keys from a KDC "
                                  "of {}",
                                  checks.realm, checks.realm)
                    : "is it another machine's? Add the principal in the KDC and export it to this keytab",
            new_keytab(checks));
    }
    return fine("keytab", std::format("{} has {}", checks.keytab, wanted.front()));
}

Finding judge_kdc(const std::string& kdc, const auth::KdcAnswer& answer, const KerberosChecks& checks) {
    using enum auth::KdcAnswer::Says;
    const std::string machine = auth::machine_principal(checks.name, checks.realm);
    if (answer.says == kKnows) return fine("KDC", std::format("KDC {} answers and knows {}", kdc, machine));
    if (answer.says == kUnknownPrincipal)
        return failed("KDC",
                      std::format("KDC {} does not know {}; is {} its realm?", kdc, machine, checks.realm),
                      checks.embedded ? "register the machine" : "make the principal and export its keytab",
                      checks.embedded ? std::format("smackd machine add {}", checks.name)
                                      : std::format("kadmin -q 'addprinc -randkey {}'", machine));
    if (answer.says == kWrongRealm)
        return failed("KDC", std::format("KDC {} is of another realm than {}", kdc, checks.realm),
                      "correct the KDCs of the realm", "grep -n kdc ${KRB5_CONFIG:-/etc/krb5.conf}");
    return warned("KDC", std::format("KDC {}: {}", kdc, answer.text), "its log says more",
                  "journalctl -u krb5-kdc");
}

}  // namespace smackd::cmd
