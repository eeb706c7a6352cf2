#include "cmd/smackd/doctor/settings.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <format>

#include "cmd/smackd/bootstrap.h"
#include "cmd/smackd/node/certificate_file.h"
#include "core/units.h"
#include "net/crypto/certificate.h"
#include "net/system_clock.h"

namespace smackd::cmd {
namespace {

constexpr core::Duration kExpiresSoon = core::seconds(7 * 24 * 3600);

Finding check_certificate(const std::string& path) {
    const std::string check = "certificate " + path;
    const std::string advice = "put the chain and its key there, the server's certificate first";
    auto text = read_small_file(path);
    if (!text) return failed(check, text.error().message, advice, std::format("ls -l {}", path));
    const std::string show = std::format("openssl x509 -in {} -noout -text", path);
    auto parsed = parse_certificate_file(*text);
    if (!parsed) return failed(check, parsed.error().message, advice, show);
    auto leaf = net::crypto::parse_certificate(*text);
    if (!leaf) return fine(check, "can be read");
    const auto left = core::milliseconds(leaf->not_after.unix_ms - net::SystemClock().wall().unix_ms);
    if (left.count() < 0)
        return failed(check, std::format("expired {} ago", core::format_duration(-left)), "have it renewed",
                      show);
    if (left < kExpiresSoon)
        return warned(check, std::format("expires in {}", core::format_duration(left)), "have it renewed",
                      show);
    return fine(check, std::format("is good for {} more", core::format_duration(left)));
}

Finding check_folder(const std::string& check, const std::string& path, std::string_view key) {
    if (::access(path.c_str(), W_OK | X_OK) == 0) return fine(check, path + " can be written");
    return failed(check, std::format("{} of {} cannot be written: {}", key, path, std::strerror(errno)),
                  "make the folder, or mount what shall be there", std::format("mkdir -p {}", path));
}

}  // namespace

Finding wrong_settings(const core::Error& error, const Arguments& arguments) {
    return failed("configuration", error.message, "correct the file, or the variable that goes over it",
                  std::format("smackd config check {}", arguments.value("--config", kConfigPath)));
}

Finding judge_settings(const Config& config, const NodeIdentity* node) {
    const bool named = !config.node_name.empty() && config.node_name != host_name();
    if (node == nullptr || config.node_name == node->name || !named)
        return fine("configuration", "can be read");
    return warned(
        "configuration",
        std::format("node.name is {}, and this node joined as {}: a node keeps its name, so the setting is "
                    "not used",
                    config.node_name, node->name),
        "take the setting out; for another name remove the machine and let it join anew",
        std::format("sed -i '/^name *=/d' {}", kConfigPath));
}

Findings examine_files(const Config& config) {
    Findings out;
    for (const std::string& path : config.edge.certificates) out.push_back(check_certificate(path));
    if (!config.backup.directory.empty() && config.backup.every.count() != 0)
        out.push_back(check_folder("backups", config.backup.directory, "backup.directory"));
    if (!config.log_file.empty())
        out.push_back(
            check_folder("log file", config.log_file.substr(0, config.log_file.rfind('/') + 1), "log.file"));
    return out;
}

}  // namespace smackd::cmd
