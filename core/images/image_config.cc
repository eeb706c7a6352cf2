#include "core/images/image_config.h"

#include <algorithm>
#include <charconv>
#include <format>

#include "core/archive/path.h"
#include "core/images/manifest.h"
#include "core/json.h"

namespace smackd::core::images {

namespace {

/// A text that may become an argument, a variable or a path: no NUL, bounded.
Result<std::string> checked_text(std::string_view field, const Json& json) {
    if (!json.is_string()) return fail(Errc::kInvalid, "{}: must be a string", field);
    const std::string& text = json.as_string();
    if (text.size() > kConfigStringBytesMax || text.find('\0') != std::string::npos) {
        return fail(Errc::kInvalid, "{}: must have at most {} bytes and no NUL", field,
                    kConfigStringBytesMax);
    }
    return text;
}

Result<std::vector<std::string>> text_list(std::string_view field, const Json& json) {
    std::vector<std::string> list;
    if (json.is_null()) return list;
    if (!json.is_array() || json.as_array().size() > kConfigStringsMax) {
        return fail(Errc::kInvalid, "{}: must be a list of at most {} strings", field, kConfigStringsMax);
    }
    for (const Json& element : json.as_array()) {
        TRY_ASSIGN(std::string text, checked_text(field, element));
        list.push_back(std::move(text));
    }
    return list;
}

/// The member names of an object, which is how ports and volumes are written.
Result<std::vector<std::string>> key_list(std::string_view field, const Json& json) {
    std::vector<std::string> list;
    if (json.is_null()) return list;
    if (!json.is_object() || json.as_object().size() > kConfigStringsMax) {
        return fail(Errc::kInvalid, "{}: must be an object of at most {} members", field, kConfigStringsMax);
    }
    for (const Json::Member& member : json.as_object()) {
        TRY_ASSIGN(std::string text, checked_text(field, Json(member.first)));
        list.push_back(std::move(text));
    }
    return list;
}

/// "8080/tcp", "53/udp", "8080".
Result<ExposedPort> parse_port(std::string_view text) {
    ExposedPort port;
    const size_t slash = text.find('/');
    if (slash != std::string_view::npos) port.protocol = text.substr(slash + 1);
    const std::string_view digits = text.substr(0, slash);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port.port);
    const bool good_protocol = port.protocol == "tcp" || port.protocol == "udp" || port.protocol == "sctp";
    if (error != std::errc() || end != digits.data() + digits.size() || port.port == 0 || !good_protocol) {
        return fail(Errc::kInvalid, "config.ExposedPorts: '{}' is not PORT/tcp, /udp or /sctp",
                    text.substr(0, 40));
    }
    return port;
}

Result<std::vector<std::string>> parse_environment(const Json& json) {
    TRY_ASSIGN(std::vector<std::string> list, text_list("config.Env", json));
    for (const std::string& variable : list) {
        const size_t equals = variable.find('=');
        if (equals == std::string::npos || equals == 0) {
            return fail(Errc::kInvalid, "config.Env: every element must be NAME=value");
        }
    }
    return list;
}

Result<std::string> parse_working_directory(const Json& json) {
    if (json.is_null() || json.as_string().empty()) return std::string("/");
    TRY_ASSIGN(std::string text, checked_text("config.WorkingDir", json));
    auto components = archive::split_path(text);
    if (!text.starts_with('/') || !components) {
        return fail(Errc::kInvalid, "config.WorkingDir: must be an absolute path without '..'");
    }
    return "/" + archive::join_path(*components);
}

Result<void> parse_ports(const Json& json, ImageConfig& into) {
    TRY_ASSIGN(std::vector<std::string> texts, key_list("config.ExposedPorts", json));
    for (const std::string& text : texts) {
        TRY_ASSIGN(ExposedPort port, parse_port(text));
        into.exposed_ports.push_back(std::move(port));
    }
    std::ranges::sort(into.exposed_ports, {},
                      [](const ExposedPort& port) { return std::pair(port.port, port.protocol); });
    return {};
}

Result<void> parse_run(const Json& run, ImageConfig& into) {
    TRY_ASSIGN(into.entrypoint, text_list("config.Entrypoint", run["Entrypoint"]));
    TRY_ASSIGN(into.cmd, text_list("config.Cmd", run["Cmd"]));
    TRY_ASSIGN(into.environment, parse_environment(run["Env"]));
    TRY_ASSIGN(into.working_directory, parse_working_directory(run["WorkingDir"]));
    TRY_ASSIGN(into.volumes, key_list("config.Volumes", run["Volumes"]));
    if (!run["User"].is_null()) {
        TRY_ASSIGN(into.user, checked_text("config.User", run["User"]));
    }
    if (!run["StopSignal"].is_null()) {
        TRY_ASSIGN(into.stop_signal, checked_text("config.StopSignal", run["StopSignal"]));
    }
    return parse_ports(run["ExposedPorts"], into);
}

Result<void> parse_root(const Json& root, ImageConfig& into) {
    if (root["type"].as_string() != "layers")
        return fail(Errc::kInvalid, "config.rootfs.type: must be 'layers'");
    const Json::Array& digests = root["diff_ids"].as_array();
    if (digests.empty() || digests.size() > kLayersMax) {
        return fail(Errc::kInvalid, "config.rootfs.diff_ids: must have 1 to {} elements", kLayersMax);
    }
    for (const Json& text : digests) {
        auto digest = Digest::parse(text.as_string());
        if (!digest) return pass(std::move(digest), "config.rootfs.diff_ids");
        into.diff_ids.push_back(std::move(*digest));
    }
    return {};
}

}  // namespace

Result<ImageConfig> parse_image_config(std::string_view text) {
    if (text.size() > kConfigBytesMax)
        return fail(Errc::kInvalid, "config: longer than {} bytes", kConfigBytesMax);
    auto json = Json::parse(text);
    if (!json) return pass(std::move(json), "config");
    const Json& document = *json;
    if (!document.is_object()) return fail(Errc::kInvalid, "config: must be an object");
    const Json& run = document["config"];
    if (!run.is_null() && !run.is_object()) return fail(Errc::kInvalid, "config.config: must be an object");
    ImageConfig config;
    TRY(parse_run(run, config));
    TRY(parse_root(document["rootfs"], config));
    config.os = document["os"].as_string();
    config.architecture = document["architecture"].as_string();
    return config;
}

}  // namespace smackd::core::images
