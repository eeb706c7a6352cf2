// What is wrong with a task's specification, by itself. Pure.
#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "core/ipv4.h"
#include "services/agent/capabilities.h"
#include "services/agent/task_directory.h"
#include "services/agent/task_runner.h"

namespace smackd::agent {
namespace {

using core::Errc;
using core::fail;
using core::Result;

constexpr size_t kWordsMax = 4096;
constexpr size_t kTextBytesMax =
    128 << 10;  // of the command, and of the environment: the kernel's is 128 KiB a word
constexpr int kLayersMax = 128;
constexpr int kVolumesMax = 64;
constexpr int kPortsMax = 64;
constexpr int kHostsMax = 256;
constexpr size_t kPathBytesMax = 4000;
constexpr size_t kHostNameBytesMax = 63;
constexpr uint64_t kMemoryBytesMin = 4 << 20;
constexpr size_t kTenantBytesMax = 128;
constexpr uint32_t kSignalMax = 64;

// Places in a task that are the kernel's or ours.
constexpr std::array<std::string_view, 4> kOurPlaces = {"/proc", "/sys", "/dev", "/"};

// Absolute, without "..", "." and empty components, without control characters or NUL.
bool is_plain_path(std::string_view path) {
    if (!path.starts_with('/') || path.size() > kPathBytesMax) return false;
    if (path == "/") return true;
    while (!path.empty()) {
        path.remove_prefix(1);
        const std::string_view component = path.substr(0, path.find('/'));
        if (component.empty() || component == "." || component == "..") return false;
        if (std::ranges::any_of(component,
                                [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }))
            return false;
        path.remove_prefix(component.size());
    }
    return true;
}

bool is_ours(std::string_view path) {
    return std::ranges::any_of(kOurPlaces, [&](std::string_view place) {
        return path == place || (place != "/" && path.starts_with(place) && path[place.size()] == '/');
    });
}

bool has_nul(std::string_view text) {
    return text.contains('\0');
}

Result<void> check_command(const wire::TaskSpec& spec) {
    if (spec.command_case() == wire::TaskSpec::kShell) {
        if (spec.shell().empty() || spec.shell().size() > kTextBytesMax || has_nul(spec.shell()))
            return fail(Errc::kInvalid, "shell: 1 to {} bytes without NUL", kTextBytesMax);
        return {};
    }
    const auto& words = spec.arguments().words();
    if (words.empty() || words[0].empty() || static_cast<size_t>(words.size()) > kWordsMax)
        return fail(Errc::kInvalid, "arguments: 1 to {} words, the first one a program", kWordsMax);
    size_t bytes = 0;
    for (const std::string& word : words) {
        bytes += word.size();
        if (has_nul(word) || bytes > kTextBytesMax)
            return fail(Errc::kInvalid, "arguments: at most {} bytes without NUL", kTextBytesMax);
    }
    return {};
}

Result<void> check_environment(const wire::TaskSpec& spec) {
    size_t bytes = 0;
    for (const wire::TaskVariable& variable : spec.environment()) {
        const std::string& name = variable.name();
        if (name.empty() || name.contains('=') || has_nul(name) || has_nul(variable.value()))
            return fail(Errc::kInvalid, "environment: '{}' is no name of a variable", name.substr(0, 64));
        bytes += name.size() + variable.value().size() + 2;
    }
    if (bytes > 4 * kTextBytesMax)
        return fail(Errc::kInvalid, "environment: more than {} bytes", 4 * kTextBytesMax);
    return {};
}

Result<void> check_files(const wire::TaskSpec& spec) {
    if (spec.rootfs_size() > kLayersMax)
        return fail(Errc::kInvalid, "rootfs: more than {} layers", kLayersMax);
    for (const std::string& layer : spec.rootfs()) {
        if (!is_plain_path(layer)) return fail(Errc::kInvalid, "rootfs: '{}' is no absolute path", layer);
    }
    if (!spec.sandbox().empty() && (!is_plain_path(spec.sandbox()) || spec.sandbox() == "/"))
        return fail(Errc::kInvalid, "sandbox: '{}' is no absolute path", spec.sandbox());
    if (!spec.identity().empty() && (!is_plain_path(spec.identity()) || spec.identity() == "/"))
        return fail(Errc::kInvalid, "identity: '{}' is no absolute path", spec.identity());
    if (!spec.identity_path().empty() &&
        (!is_plain_path(spec.identity_path()) || is_ours(spec.identity_path())))
        return fail(Errc::kInvalid, "identity_path: '{}' is no path for it", spec.identity_path());
    if (!spec.sandbox_path().empty() && (!is_plain_path(spec.sandbox_path()) || is_ours(spec.sandbox_path())))
        return fail(Errc::kInvalid, "sandbox_path: '{}' is no path for it", spec.sandbox_path());
    if (!spec.working_directory().empty() && !is_plain_path(spec.working_directory()))
        return fail(Errc::kInvalid, "working_directory: '{}' is no absolute path", spec.working_directory());
    if (spec.volumes_size() > kVolumesMax) return fail(Errc::kInvalid, "volumes: more than {}", kVolumesMax);
    for (const wire::TaskVolume& volume : spec.volumes()) {
        if (!is_plain_path(volume.host_path()))
            return fail(Errc::kInvalid, "volumes: host path '{}' is not absolute", volume.host_path());
        if (!is_plain_path(volume.task_path()) || is_ours(volume.task_path()))
            return fail(Errc::kInvalid, "volumes: '{}' is no path for one", volume.task_path());
    }
    return {};
}

Result<void> check_limits(const wire::TaskSpec& spec) {
    const wire::TaskLimits& limits = spec.limits();
    if (limits.memory_bytes() != 0 && limits.memory_bytes() < kMemoryBytesMin)
        return fail(Errc::kInvalid, "limits.memory_bytes: at least {}", core::format_bytes(kMemoryBytesMin));
    if (limits.cpus_limit_milli() != 0 && limits.cpus_limit_milli() < 10)
        return fail(Errc::kInvalid, "limits.cpus_limit_milli: at least 10");
    if (spec.logs().segment_bytes() != 0 && spec.logs().segment_bytes() < 4096)
        return fail(Errc::kInvalid, "logs.segment_bytes: at least 4096");
    if (spec.logs().bytes_per_second() != 0 && spec.logs().bytes_per_second() < 8192)
        return fail(Errc::kInvalid, "logs.bytes_per_second: at least 8192");
    if (spec.stop_signal() > kSignalMax) return fail(Errc::kInvalid, "stop_signal: 1 to {}", kSignalMax);
    return {};
}

bool is_host_name(std::string_view name) {
    if (name.empty() || name.size() > kHostNameBytesMax || name[0] == '-' || name[0] == '.') return false;
    return std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '.' || c == '_';
    });
}

// What goes into a line of /etc/hosts or resolv.conf must not be able to begin another one.
Result<void> check_names(const wire::TaskSpec& spec) {
    if (!spec.hostname().empty() && !is_host_name(spec.hostname()))
        return fail(Errc::kInvalid, "hostname: '{}' is no host name", spec.hostname());
    const wire::TaskNetwork& network = spec.network();
    for (const std::string& server : network.dns_servers()) {
        if (!core::parse_ipv4(server))
            return fail(Errc::kInvalid, "network.dns_servers: '{}' is no IPv4 address", server);
    }
    for (const std::string& domain : network.dns_search()) {
        if (!is_host_name(domain))
            return fail(Errc::kInvalid, "network.dns_search: '{}' is no domain", domain);
    }
    if (network.hosts_size() > kHostsMax)
        return fail(Errc::kInvalid, "network.hosts: more than {}", kHostsMax);
    for (const wire::TaskHost& host : network.hosts()) {
        if (!core::parse_ipv4(host.address()))
            return fail(Errc::kInvalid, "network.hosts: '{}' is no IPv4 address", host.address());
        for (const std::string& name : host.names()) {
            if (!is_host_name(name)) return fail(Errc::kInvalid, "network.hosts: '{}' is no host name", name);
        }
    }
    return {};
}

Result<void> check_network(const wire::TaskSpec& spec) {
    const wire::TaskNetwork& network = spec.network();
    if (!wire::TaskNetwork::Mode_IsValid(network.mode()))
        return fail(Errc::kInvalid, "network.mode: not known");
    if (network.ports_size() > kPortsMax)
        return fail(Errc::kInvalid, "network.ports: more than {}", kPortsMax);
    if (network.ports_size() > 0 && network.mode() != wire::TaskNetwork::BRIDGE)
        return fail(Errc::kInvalid, "network.ports: are published in bridge mode only");
    if (!network.address().empty() &&
        (network.mode() != wire::TaskNetwork::BRIDGE || !core::parse_ipv4(network.address())))
        return fail(Errc::kInvalid, "network.address: an IPv4 address, in bridge mode");
    std::set<std::pair<int, uint32_t>> seen;
    for (const wire::PublishedPort& port : network.ports()) {
        if (port.host_port() == 0 || port.host_port() > 65535 || port.task_port() == 0 ||
            port.task_port() > 65535 || !wire::PublishedPort::Protocol_IsValid(port.protocol()))
            return fail(Errc::kInvalid, "network.ports: ports are 1 to 65535, of TCP or UDP");
        if (!seen.insert({port.protocol(), port.host_port()}).second)
            return fail(Errc::kInvalid, "network.ports: port {} is there twice", port.host_port());
    }
    return {};
}

}  // namespace

Result<void> check_task_spec(const wire::TaskSpec& spec) {
    if (!is_task_id(spec.task_id()))
        return fail(Errc::kInvalid, "task_id: 1 to 200 of [A-Za-z0-9._-], beginning with a letter or digit");
    TRY(check_command(spec));
    TRY(check_environment(spec));
    TRY(check_files(spec));
    TRY(check_limits(spec));
    TRY(check_names(spec));
    TRY(check_network(spec));
    for (const std::string& name : spec.added_capabilities()) {
        if (!capability_bit(name)) return fail(Errc::kInvalid, "added_capabilities: '{}' is not known", name);
    }
    if (spec.tenant().size() > kTenantBytesMax)
        return fail(Errc::kInvalid, "tenant: at most {} bytes", kTenantBytesMax);
    if (spec.user().size() > 128 || has_nul(spec.user()) || spec.user().contains('\n'))
        return fail(Errc::kInvalid, "user: at most 128 bytes");
    return {};
}

}  // namespace smackd::agent
