// Settings of a node: built-in values, then the file /etc/smackd/smackd.toml, then the environment, then
// flags.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "auth/token.h"
#include "cmd/smackd/tasks_config.h"
#include "core/logger.h"
#include "core/result.h"
#include "services/backup/backup_schedule.h"

namespace smackd::cmd {

inline constexpr std::string_view kConfigPath = "/etc/smackd/smackd.toml";
inline constexpr size_t kConfigBytesMax = 256 * 1024;

struct Config {
    std::string data_dir = "/var/lib/smackd";
    core::LogLevel log_level = core::LogLevel::kInfo;
    std::string log_file;   ///< empty: standard error
    std::string node_name;  ///< empty: the host's name
    std::string api_address = "0.0.0.0:5050";
    std::string cluster_address = "0.0.0.0:5055";
    std::string advertise_address;           ///< what others dial; empty: node_name and the cluster port
    bool gossip_by_stream = false;           ///< an agent that others cannot reach over UDP (NAT)
    std::string kdc_address = "0.0.0.0:88";  ///< embedded realm only
    std::vector<std::string> host_names;     ///< further names the API answers to (Host header)
    std::vector<std::string> insecure_registries;  ///< HOST[:PORT] spoken to in clear
    std::vector<std::string>
        fetch_allowed;  ///< IPs or CIDRs that images and artifacts may come from though private
    TasksConfig tasks;
    EdgeConfig edge;
    int64_t token_life_s = auth::kTokenLifeSeconds;    ///< of tokens given at sign-in
    services::BackupPlan backup;                       ///< directory empty: backups/ of the data directory
    std::string keytab = "/etc/smackd/smackd.keytab";  ///< realms of the site only
};

/// How a value is written in the file.
enum class ConfigForm : uint8_t { kText, kTexts, kNumber, kFlag };

/// One key of the file, for checking, help and documentation.
struct ConfigKey {
    std::string_view name;  ///< "listen.api"
    std::string_view form;  ///< "HOST:PORT"
    std::string_view summary;
    core::Result<void> (*set)(Config& config, const std::vector<std::string>& values);
    ConfigForm written = ConfigForm::kText;
};

const std::vector<ConfigKey>& config_keys();

/// Reads the settings in `text` over `config`. kInvalid names `path`, line, key and rule; an unknown key
/// comes with the nearest known one.
core::Result<void> read_config(std::string_view text, std::string_view path, Config& config);

/// Reads the file; one that does not exist is fine unless `must_exist`.
core::Result<void> load_config(const std::string& path, bool must_exist, Config& config);

/// Reads SMACKD_KEY of every key ("listen.api" is SMACKD_LISTEN_API) over `config`; lists are separated by
/// commas. kInvalid names the variable and the rule.
core::Result<void> read_environment(Config& config);
/// "listen.api" -> "SMACKD_LISTEN_API".
std::string variable_of(const ConfigKey& key);
/// As it stands in a flag or variable: the parts of a list, or the text itself; "none" is an empty list.
std::vector<std::string> split_value(const ConfigKey& key, const std::string& text);

/// "127.0.0.1:5050", "[::1]:5050", "host:5050". kInvalid names `field` and the form.
core::Result<void> check_address(std::string_view field, std::string_view address);
/// Host and port of a checked address, brackets removed.
std::string host_of(std::string_view address);
uint16_t port_of(std::string_view address);
/// The host as it stands in HOST:PORT, with the brackets of an IPv6 address.
std::string bracketed_host_of(std::string_view address);

}  // namespace smackd::cmd
