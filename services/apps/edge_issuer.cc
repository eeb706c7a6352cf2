#include "services/apps/edge_issuer.h"

#include <algorithm>

#include "core/apps/routes.h"
#include "core/ip_address.h"

namespace smackd::services {
namespace {

using core::Errc;
using core::Result;

/// Those of `asked` that are virtual hosts and nothing else.
Result<std::vector<std::string>> permitted(const EdgeIssuer& issuer, const std::set<std::string>& asked) {
    storage::state::StateReader state(issuer.reader);
    TRY_ASSIGN(auto view, state.view());
    TRY_ASSIGN(const auto apps, view.apps());
    std::set<std::string> hosts;
    for (const auto& app : apps) {
        for (const apps::Route& route : apps::routes_of(app.put).routes)
            hosts.insert(route.virtual_hosts.begin(), route.virtual_hosts.end());
    }
    TRY_ASSIGN(const auto machines, view.machines());
    for (const auto& machine : machines) hosts.erase(machine.put.name());
    for (const std::string& host : issuer.api_hosts) hosts.erase(host);
    std::vector<std::string> names;
    std::ranges::set_intersection(asked, hosts, std::back_inserter(names));
    return names;
}

Result<void> issue(const EdgeIssuer& issuer, const std::string& public_key_pem, const std::string& name,
                   const std::vector<std::string>& dns, core::WallTime now,
                   wire::EdgeIssuedCertificates& answer) {
    std::vector<std::string> ips;
    std::vector<std::string> hosts;
    for (const std::string& one : dns) (core::IpAddress::parse(one) ? ips : hosts).push_back(one);
    TRY_ASSIGN(const auth::IssuedCertificate issued, issuer.ca.issue_server(public_key_pem, hosts, ips, now));
    wire::EdgeIssuedCertificate& row = *answer.add_certificates();
    row.set_name(name);
    row.set_pem(issued.pem);
    row.set_not_before_ms(issued.not_before_ms);
    row.set_not_after_ms(issued.not_after_ms);
    return {};
}

}  // namespace

Result<wire::EdgeIssuedCertificates> issue_edge_certificates(const EdgeIssuer& issuer,
                                                             const wire::EdgeCertificateRequest& request,
                                                             const std::string& machine, core::WallTime now) {
    if (request.names_size() > kEdgeNamesMax) {
        return core::fail(Errc::kInvalid, "names: {} of them, the limit is {}", request.names_size(),
                          kEdgeNamesMax);
    }
    wire::EdgeIssuedCertificates answer;
    if (request.names().empty()) {
        TRY(issue(issuer, request.public_key_pem(), "",
                  {machine, "localhost", kExternalGroupName, kInternalGroupName, "127.0.0.1"}, now, answer));
        return answer;
    }
    TRY_ASSIGN(const auto names, permitted(issuer, {request.names().begin(), request.names().end()}));
    for (const std::string& name : names)
        TRY(issue(issuer, request.public_key_pem(), name, {name}, now, answer));
    return answer;
}

}  // namespace smackd::services
