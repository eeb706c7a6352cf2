#include "cmd/smackd/config_text.h"

#include <algorithm>
#include <format>
#include <optional>

#include "core/assert.h"

namespace smackd::cmd {
namespace {

constexpr std::string_view kIntroduction =
    R"(# Settings of this machine's smackd. Every key stands here as a comment with its built-in value; where that
# depends on the machine, with an example. Take the # away to set it. `smackd config check` looks at this file,
# `smackd config show --effective` shows what is in force: variables (SMACKD_LISTEN_API for listen.api) go over
# this file, flags go over both. The service reads it when it starts: systemctl restart smackd. Tasks go on
# meanwhile.
)";

using Values = std::vector<std::string>;
/// What ConfigKey::set was given, or an equal form of it; nullopt: the node finds it out when it starts.
using Said = std::optional<Values>;

/// The way back of each key.
struct Reader {
    std::string_view key;
    Said (*get)(const Config& config);
    std::string_view example{};  ///< as it stands in the file, of a key without a built-in value
};

Said text(const std::string& value) {
    return value.empty() ? Said() : Values{value};
}

Said flag(bool value) {
    return Values{value ? "true" : "false"};
}

Said number(uint64_t value) {
    return Values{std::to_string(value)};
}

Said size(const std::optional<uint64_t>& bytes) {
    return bytes ? number(*bytes) : Said();
}

Said cpus(const std::optional<uint64_t>& milli) {
    return milli ? text(std::format("{}.{:03}", *milli / 1000, *milli % 1000)) : Said();
}

Said ranges(const std::vector<apps::PortRange>& ports) {
    Values texts;
    for (const apps::PortRange& range : ports) texts.push_back(std::format("{}-{}", range.first, range.last));
    return texts;
}

Said duration(core::Duration value) {
    const auto seconds = std::chrono::duration_cast<core::seconds>(value).count();
    if (seconds == 0) return text("never");
    if (seconds % 3600 == 0) return text(std::format("{}h", seconds / 3600));
    return text(seconds % 60 == 0 ? std::format("{}m", seconds / 60) : std::format("{}s", seconds));
}

constexpr Reader kReaders[] = {
    {"data_dir", [](const Config& c) { return text(c.data_dir); }},
    {"log.level", [](const Config& c) { return text(std::string(core::log_level_name(c.log_level))); }},
    {"log.file", [](const Config& c) { return text(c.log_file); }, R"("/var/log/smackd.log")"},
    {"node.name", [](const Config& c) { return text(c.node_name); }, R"("n1.example.org")"},
    {"node.advertise", [](const Config& c) { return text(c.advertise_address); }, R"("n1.example.org:5055")"},
    {"node.gossip", [](const Config& c) { return text(c.gossip_by_stream ? "stream" : "direct"); }},
    {"listen.api", [](const Config& c) { return text(c.api_address); }},
    {"listen.cluster", [](const Config& c) { return text(c.cluster_address); }},
    {"listen.kdc", [](const Config& c) { return text(c.kdc_address); }},
    {"listen.dns", [](const Config& c) { return c.edge.dns; }, R"(["127.0.0.1:53", "10.0.0.1:53"])"},
    {"listen.http", [](const Config& c) { return c.edge.http; }, R"(["0.0.0.0:80"])"},
    {"listen.https", [](const Config& c) { return c.edge.https; }, R"(["0.0.0.0:443"])"},
    {"tasks.run", [](const Config& c) { return flag(c.tasks.run); }},
    {"tasks.cpus", [](const Config& c) { return cpus(c.tasks.cpus_milli); }, R"("2")"},
    {"tasks.memory", [](const Config& c) { return size(c.tasks.memory_bytes); }, R"("8GiB")"},
    {"tasks.disk", [](const Config& c) { return size(c.tasks.disk_bytes); }, R"("100GB")"},
    {"tasks.address", [](const Config& c) { return text(c.tasks.address); }, R"("10.0.0.1")"},
    {"tasks.ports", [](const Config& c) { return ranges(c.tasks.ports); }},
    {"tasks.region", [](const Config& c) { return text(c.tasks.region); }, R"("eu")"},
    {"tasks.network",
     [](const Config& c) {
         const core::Ipv4Prefix& network = c.tasks.network;
         return text(std::format("{}/{}", core::format_ipv4(network.address), network.length));
     }},
    {"tasks.vxlan_port", [](const Config& c) { return number(c.tasks.vxlan_port); }},
    {"tasks.encryption",
     [](const Config& c) { return text(std::string(encryption_name(c.tasks.encryption))); }},
    {"tasks.wireguard_port", [](const Config& c) { return number(c.tasks.wireguard_port); }},
    {"edge.run", [](const Config& c) { return c.edge.run ? flag(*c.edge.run) : Said(); }, "true"},
    {"edge.certificates", [](const Config& c) { return Said(c.edge.certificates); }},
    {"images.insecure_registries", [](const Config& c) { return Said(c.insecure_registries); }},
    {"images.allowed_addresses", [](const Config& c) { return Said(c.fetch_allowed); }},
    {"api.host_names", [](const Config& c) { return Said(c.host_names); }},
    {"api.token_life_s", [](const Config& c) { return number(static_cast<uint64_t>(c.token_life_s)); }},
    {"backup.every", [](const Config& c) { return duration(c.backup.every); }},
    {"backup.keep", [](const Config& c) { return number(c.backup.keep); }},
    {"backup.directory", [](const Config& c) { return text(c.backup.directory); }, R"("/mnt/safe")"},
    {"kerberos.keytab", [](const Config& c) { return text(c.keytab); }},
};

const Reader& reader_of(const ConfigKey& key) {
    const auto* found = std::ranges::find(kReaders, key.name, &Reader::key);
    SMACK_ASSERT(found != std::end(kReaders));  // a key of config_keys() has a line above
    return *found;
}

std::string quoted(std::string_view plain) {
    std::string out = "\"";
    for (char c : plain) out += c == '"' || c == '\\' ? std::string{'\\', c} : std::string{c};
    return out + "\"";
}

}  // namespace

std::string value_text(const ConfigKey& key, const Config& config) {
    const Said values = reader_of(key).get(config);
    if (!values) return {};
    if (key.written == ConfigForm::kText) return quoted(values->front());
    if (key.written != ConfigForm::kTexts) return values->front();
    std::string list;
    for (const std::string& value : *values) list += (list.empty() ? "" : ", ") + quoted(value);
    return "[" + list + "]";
}

std::string example_config() {
    std::string out(kIntroduction);
    std::string_view section;
    for (const ConfigKey& key : config_keys()) {
        const size_t dot = key.name.find('.');
        const std::string_view own = dot == std::string_view::npos ? "" : key.name.substr(0, dot);
        if (own != section) out += std::format("\n[{}]", own);
        section = own;
        const std::string built_in = value_text(key, Config{});
        out += std::format("\n# {}: {}\n#{} = {}\n", key.form, key.summary,
                           own.empty() ? key.name : key.name.substr(dot + 1),
                           built_in.empty() ? reader_of(key).example : std::string_view(built_in));
    }
    return out;
}

std::string settings_text(const Config& config) {
    std::string out;
    for (const ConfigKey& key : config_keys()) {
        const std::string value = value_text(key, config);
        if (!value.empty()) out += std::format("{} = {}\n", key.name, value);
    }
    return out;
}

std::string running_settings_path(const DataDirectory& directory) {
    return directory.run() + "/settings.toml";
}

}  // namespace smackd::cmd
