#include "core/apps/tenants.h"

#include <algorithm>
#include <charconv>
#include <format>

#include "core/bytes.h"
#include "core/names.h"

namespace smackd::apps {

using core::Errc;
using core::fail;
using core::Result;

namespace {

constexpr uint32_t kNumbers = kTenantNumberLast - kTenantNumberFirst + 1;

/// The first number from the name's own place on that `taken` does not have; 0: none.
uint32_t free_number(const std::string& name, const std::map<uint32_t, std::string>& taken) {
    const uint32_t begin = core::crc32c(name) % kNumbers;
    for (uint32_t i = 0; i < kNumbers; ++i) {
        const uint32_t number = kTenantNumberFirst + (begin + i) % kNumbers;
        if (!taken.contains(number)) return number;
    }
    return 0;
}

}  // namespace

Result<TenantPort> parse_tenant_port(std::string_view text) {
    const size_t slash = text.find('/');
    const std::string_view digits = text.substr(0, slash);
    const std::string_view protocol = slash == std::string_view::npos ? "tcp" : text.substr(slash + 1);
    uint16_t port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc() || end != digits.data() + digits.size() || port == 0 ||
        (protocol != "tcp" && protocol != "udp"))
        return fail(Errc::kInvalid, "port '{}': must be 1 to 65535, as 8080, 8080/tcp or 53/udp",
                    text.substr(0, 32));
    return TenantPort{port, protocol == "udp"};
}

std::string format_tenant_port(const TenantPort& port) {
    return std::format("{}/{}", port.port, port.udp ? "udp" : "tcp");
}

// The state takes any setting, so two tenants may claim one path: the first by name has it, on every node.
void Tenants::set(const std::string& name, std::vector<std::string> paths) {
    if (paths.empty()) {
        tenants_.erase(name);
    } else {
        tenants_[name] = std::move(paths);
    }
    owners_.clear();
    for (const auto& [tenant, owned] : tenants_) {
        for (const std::string& path : owned) owners_.emplace(path, tenant);
    }
}

const std::string& Tenants::of(std::string_view app_id) const {
    static const std::string nobody;
    if (owners_.empty()) return nobody;
    while (!app_id.empty()) {
        if (const auto found = owners_.find(app_id); found != owners_.end()) return found->second;
        const size_t slash = app_id.rfind('/');
        app_id = slash == std::string_view::npos ? std::string_view{} : app_id.substr(0, slash);
    }
    return nobody;
}

Result<void> Tenants::check(const std::string& name, const std::vector<std::string>& paths) const {
    if (auto checked = core::check_group_name(name); !checked)
        return core::pass(std::move(checked), "tenant");
    if (paths.empty() || paths.size() > kTenantPathsMax)
        return fail(Errc::kInvalid, "paths: must be 1 to {}", kTenantPathsMax);
    for (const std::string& path : paths) {
        if (auto checked = core::check_path(path); !checked) return core::pass(std::move(checked), "paths");
        // Who owns the root would be everybody's tenant, and common apps would be nobody's.
        if (path == "/") return fail(Errc::kInvalid, "paths '/': is everybody's");
        const auto owner = owners_.find(path);
        if (owner != owners_.end() && owner->second != name)
            return fail(Errc::kConflict, "paths '{}': belongs to tenant '{}'", path, owner->second);
    }
    if (!tenants_.contains(name) && tenants_.size() >= kTenantsMax)
        return fail(Errc::kBusy, "there are {} tenants, which is the most", kTenantsMax);
    return {};
}

void Tenants::set_number(uint32_t number, const std::string& name) {
    if (name.empty()) {
        numbers_.erase(number);
    } else if (number >= kTenantNumberFirst && number <= kTenantNumberLast) {
        numbers_[number] = name;
    }
}

std::map<std::string, uint32_t> Tenants::numbers() const {
    std::map<std::string, uint32_t> all;
    for (const auto& [number, name] : numbers_) {
        if (tenants_.contains(name)) all.emplace(name, number);
    }
    if (all.size() == tenants_.size()) return all;
    std::map<uint32_t, std::string> taken = numbers_;
    for (const auto& [name, paths] : tenants_) {
        if (all.contains(name)) continue;
        const uint32_t number = free_number(name, taken);
        if (number == 0) continue;
        taken[number] = name;
        all[name] = number;
    }
    return all;
}

uint32_t Tenants::number_for(const std::string& name) const {
    const auto all = numbers();
    if (const auto known = all.find(name); known != all.end()) return known->second;
    std::map<uint32_t, std::string> taken = numbers_;
    for (const auto& [other, number] : all) taken[number] = other;
    return free_number(name, taken);
}

void Tenants::allow(const std::string& from, const std::string& to, Ports ports) {
    if (ports.empty()) {
        allowances_.erase({from, to});
        return;
    }
    std::ranges::sort(ports);
    ports.erase(std::ranges::unique(ports).begin(), ports.end());
    allowances_[{from, to}] = std::move(ports);
}

std::map<std::pair<std::string, std::string>, Tenants::Ports> Tenants::allowances() const {
    auto all = allowances_;
    std::erase_if(all, [&](const auto& entry) {
        return !tenants_.contains(entry.first.first) || !tenants_.contains(entry.first.second);
    });
    return all;
}

Result<void> Tenants::check_allowance(const std::string& from, const std::string& to,
                                      const Ports& ports) const {
    for (const std::string& name : {from, to}) {
        if (!tenants_.contains(name)) return fail(Errc::kNotFound, "no tenant '{}'", name.substr(0, 64));
    }
    if (from == to) return fail(Errc::kInvalid, "from and to: tasks of '{}' reach each other anyway", from);
    if (ports.empty() || ports.size() > kAllowedPortsMax)
        return fail(Errc::kInvalid, "ports: must be 1 to {}", kAllowedPortsMax);
    if (!allowances_.contains({from, to}) && allowances_.size() >= kAllowancesMax)
        return fail(Errc::kBusy, "there are {} allowances, which is the most", kAllowancesMax);
    return {};
}

}  // namespace smackd::apps
