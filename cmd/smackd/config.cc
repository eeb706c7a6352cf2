#include "cmd/smackd/config.h"

#include <algorithm>
#include <charconv>
#include <format>
#include <fstream>
#include <iterator>

// Errors come back as values: a configuration file is input, and our code does not throw.
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.hpp>

#include "cmd/smackd/nearest.h"
#include "core/names.h"

namespace smackd::cmd {
namespace {

using Values = std::vector<std::string>;

template <std::string Config::* member>
core::Result<void> set_address(Config& config, const Values& values) {
    TRY(check_address("address", values[0]));
    config.*member = values[0];
    return {};
}

core::Result<void> set_absolute(std::string& target, const std::string& value) {
    if (!value.starts_with("/"))
        return core::fail(core::Errc::kInvalid, "'{}' is not an absolute path", value);
    target = value;
    return {};
}

core::Result<void> set_log_level(Config& config, const Values& values) {
    using enum core::LogLevel;
    for (core::LogLevel level : {kDebug, kInfo, kWarning, kError}) {
        if (values[0] == core::log_level_name(level)) {
            config.log_level = level;
            return {};
        }
    }
    return core::fail(core::Errc::kInvalid, "'{}' is no level; known are debug, info, warning, error",
                      values[0]);
}

core::Result<void> set_node_name(Config& config, const Values& values) {
    TRY(core::check_machine_name(values[0]));
    config.node_name = values[0];
    return {};
}

core::Result<void> set_host_names(Config& config, const Values& values) {
    for (const std::string& name : values) TRY(core::check_machine_name(name));
    config.host_names = values;
    return {};
}

// "a.b" for every leaf below `table`, with its line.
struct Leaf {
    std::string name;
    const toml::node* node;
};

void collect_leaves(const toml::table& table, const std::string& prefix, std::vector<Leaf>& out) {
    for (const auto& [key, node] : table) {
        std::string name = prefix.empty() ? std::string(key.str()) : prefix + "." + std::string(key.str());
        if (const toml::table* inner = node.as_table()) {
            collect_leaves(*inner, name, out);
        } else {
            out.push_back({std::move(name), &node});
        }
    }
}

core::Result<Values> values_of(const toml::node& node, bool list) {
    if (!list) {
        if (const auto* text = node.as_string()) return Values{text->get()};
        return core::fail(core::Errc::kInvalid, "must be a string in quotes");
    }
    const toml::array* array = node.as_array();
    if (array == nullptr) return core::fail(core::Errc::kInvalid, "must be an array of strings");
    Values values;
    for (const toml::node& element : *array) {
        const auto* text = element.as_string();
        if (text == nullptr) return core::fail(core::Errc::kInvalid, "must be an array of strings");
        values.push_back(text->get());
    }
    return values;
}

core::Result<void> apply_leaf(const Leaf& leaf, std::string_view path, Config& config) {
    auto line = leaf.node->source().begin.line;
    auto found = std::ranges::find(config_keys(), leaf.name, &ConfigKey::name);
    if (found == config_keys().end()) {
        Values names;
        std::vector<std::string_view> known;
        for (const ConfigKey& key : config_keys()) known.push_back(key.name);
        return core::fail(core::Errc::kInvalid, "{} line {}: unknown key '{}'{}", path, line, leaf.name,
                          did_you_mean(leaf.name, known));
    }
    auto values = values_of(*leaf.node, found->list);
    auto set = values ? found->set(config, *values) : core::Result<void>(core::pass(std::move(values)));
    if (!set)
        return core::fail(core::Errc::kInvalid, "{} line {}: {}: {}", path, line, leaf.name,
                          set.error().message);
    return {};
}

}  // namespace

const std::vector<ConfigKey>& config_keys() {
    static const std::vector<ConfigKey> keys{
        {"data_dir", "DIRECTORY", "where the node keeps everything",
         [](Config& c, const Values& v) { return set_absolute(c.data_dir, v[0]); }},
        {"log.level", "debug|info|warning|error", "the least important line that is written", set_log_level},
        {"log.file", "FILE", "where log lines go; standard error when absent",
         [](Config& c, const Values& v) { return set_absolute(c.log_file, v[0]); }},
        {"node.name", "NAME", "the machine's name; the host's name when absent", set_node_name},
        {"node.advertise", "HOST:PORT", "the cluster address other servers dial",
         set_address<&Config::advertise_address>},
        {"listen.api", "HOST:PORT", "HTTPS API", set_address<&Config::api_address>},
        {"listen.cluster", "HOST:PORT", "mutual TLS between servers", set_address<&Config::cluster_address>},
        {"listen.kdc", "HOST:PORT", "Kerberos KDC of an embedded realm", set_address<&Config::kdc_address>},
        {"api.host_names", "[NAME, ...]", "further names the API answers to", set_host_names, true},
        {"kerberos.keytab", "FILE", "keytab of the node when the realm is the site's own",
         [](Config& c, const Values& v) { return set_absolute(c.keytab, v[0]); }},
    };
    return keys;
}

core::Result<void> read_config(std::string_view text, std::string_view path, Config& config) {
    toml::parse_result parsed = toml::parse(text, path);
    if (!parsed) {
        return core::fail(core::Errc::kInvalid, "{} line {}: {}", path, parsed.error().source().begin.line,
                          parsed.error().description());
    }
    std::vector<Leaf> leaves;
    collect_leaves(parsed.table(), {}, leaves);
    for (const Leaf& leaf : leaves) TRY(apply_leaf(leaf, path, config));
    return {};
}

core::Result<void> load_config(const std::string& path, bool must_exist, Config& config) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        if (!must_exist && errno == ENOENT) return {};
        return core::fail_errno(errno, std::format("reading the configuration file {}", path));
    }
    std::string text{std::istreambuf_iterator<char>(file), {}};
    if (text.size() > kConfigBytesMax) {
        return core::fail(core::Errc::kInvalid, "{} is longer than {} bytes", path, kConfigBytesMax);
    }
    return read_config(text, path, config);
}

core::Result<void> check_address(std::string_view field, std::string_view address) {
    size_t colon = address.rfind(':');
    std::string_view host = address.substr(0, colon == std::string_view::npos ? 0 : colon);
    unsigned port = 0;
    const char* end = address.data() + address.size();
    bool fine = !host.empty() && colon + 1 < address.size();
    if (fine) {
        auto [stop, error] = std::from_chars(address.data() + colon + 1, end, port);
        fine = error == std::errc{} && stop == end && port >= 1 && port <= 65535;
    }
    bool bracketed = host.starts_with('[') && host.ends_with(']');
    if (!fine || (host.find(':') != std::string_view::npos && !bracketed)) {
        return core::fail(core::Errc::kInvalid, "{} '{}' must be HOST:PORT with a port of 1 to 65535", field,
                          address);
    }
    return {};
}

std::string host_of(std::string_view address) {
    std::string_view host = address.substr(0, address.rfind(':'));
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    return std::string(host);
}

uint16_t port_of(std::string_view address) {
    uint16_t port = 0;
    std::from_chars(address.data() + address.rfind(':') + 1, address.data() + address.size(), port);
    return port;
}

}  // namespace smackd::cmd
