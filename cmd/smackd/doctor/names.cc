#include "cmd/smackd/doctor/names.h"

#include <unistd.h>

#include <algorithm>
#include <format>

#include "cmd/smackd/client/deadline.h"
#include "cmd/smackd/doctor/datagram.h"
#include "cmd/smackd/node/edge_settings.h"
#include "cmd/smackd/node/own_address.h"

namespace smackd::cmd {
namespace {

using Texts = std::vector<std::string>;

// A question for the root's name servers: any name server has an answer, be it a refusal (RFC 1035
// section 4.1).
constexpr std::string_view kRootQuestion(
    "\x5d\x0c\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01", 17);

bool is_loopback(const std::string& address) {
    return address.starts_with("127.") || address == "::1";
}

std::string joined(const Texts& texts) {
    std::string all;
    for (const std::string& text : texts) all += (all.empty() ? "" : ", ") + text;
    return all;
}

/// Empty when it means nothing; an error when the name servers were too slow to say.
core::Result<Texts> look_up(const std::string& name) {
    return run_with_deadline<Texts>(kNameLimit, "looking up " + name,
                                    [name]() -> core::Result<Texts> { return addresses_of_name(name); });
}

std::string hosts_line(const std::string& name) {
    return std::format("echo 'ADDRESS {}' >>/etc/hosts", name);
}

std::string resolver_fix(const std::string& server) {
    char target[4096];
    const bool link = ::readlink("/etc/resolv.conf", target, sizeof target) > 0;
    if (link) return "resolvectl status";
    return std::format("sed -i '/^nameserver *{}$/d' /etc/resolv.conf", server.substr(0, server.rfind(':')));
}

Findings check_name_servers() {
    const Texts servers = system_name_servers();
    Findings out;
    size_t silent = 0;
    for (const std::string& server : servers) {
        auto at = net::Address::parse(server);
        if (!at) continue;
        auto answer = ask_by_datagram(*at, kRootQuestion, kNameServerLimit);
        if (answer) continue;
        ++silent;
        out.push_back(
            warned("name server",
                   std::format("{} of /etc/resolv.conf does not answer: {}", server, answer.error().message),
                   "take it out, or name one that answers; each look-up waits for it", resolver_fix(server)));
    }
    if (servers.empty())
        return {fine("name server", "/etc/resolv.conf names none; names come from /etc/hosts")};
    if (silent == servers.size())
        for (Finding& finding : out) finding.verdict = Verdict::kFail;
    if (silent == 0) out.push_back(fine("name server", std::format("{} answers", joined(servers))));
    return out;
}

}  // namespace

Findings examine_names(const NameChecks& checks) {
    Findings out = check_name_servers();
    const Texts own = interface_addresses();
    if (!checks.own.empty()) {
        auto meant = look_up(checks.own);
        out.push_back(meant ? judge_own_name(checks.own, *meant, own, checks.loopback)
                            : failed("own name", meant.error().message,
                                     "name this machine in /etc/hosts, or name a server that answers",
                                     hosts_line(checks.own)));
    }
    for (const std::string& name : checks.others) {
        if (name == checks.own) continue;
        auto meant = look_up(name);
        Findings said =
            meant
                ? judge_other_name(name, *meant, own)
                : Findings{failed("name", meant.error().message,
                                  "name it in /etc/hosts, or name a server that answers", hosts_line(name))};
        std::ranges::move(said, std::back_inserter(out));
    }
    return out;
}

Finding judge_own_name(const std::string& name, const Texts& meant, const Texts& own, bool loopback) {
    if (meant.empty())
        return failed("own name", std::format("{} means nothing here: other nodes and clients dial it", name),
                      "name this machine in DNS or in /etc/hosts, here and on the other machines",
                      hosts_line(name));
    const auto ours = [&](const std::string& address) { return std::ranges::contains(own, address); };
    if (std::ranges::all_of(meant, is_loopback)) {
        if (loopback || name == "localhost") return fine("own name", std::format("{} is this machine", name));
        return warned(
            "own name",
            std::format("{} means {} here, which is this machine and no other: a file of names that "
                        "says so elsewhere too leads every machine to itself",
                        name, joined(meant)),
            "let it mean the address that the others dial",
            std::format("sed -i '/^127\\..*\\b{}\\b/d' /etc/hosts && {}", name, hosts_line(name)));
    }
    if (std::ranges::none_of(meant, ours))
        return failed("own name",
                      std::format("{} means {}, which is no address of this machine (it has {}): others who "
                                  "dial this node reach somebody else",
                                  name, joined(meant), joined(own)),
                      "mend DNS or /etc/hosts, or give this machine that address", hosts_line(name));
    return fine("own name", std::format("{} is {}", name, joined(meant)));
}

Findings judge_other_name(const std::string& name, const Texts& meant, const Texts& own) {
    if (meant.empty())
        return {failed("name", std::format("{} means nothing here", name), "name it in DNS or in /etc/hosts",
                       hosts_line(name))};
    for (const std::string& address : meant) {
        if (!is_loopback(address) && !std::ranges::contains(own, address)) continue;
        return {
            failed("name",
                   std::format("{} means {}, which is this machine itself: this node would talk to itself "
                               "in its place",
                               name, address),
                   "take the line out of /etc/hosts, and let the name mean the other machine",
                   std::format("sed -i '/\\b{}\\b/d' /etc/hosts && {}", name, hosts_line(name)))};
    }
    return {};
}

}  // namespace smackd::cmd
