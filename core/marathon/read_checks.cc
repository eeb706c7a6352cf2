// Health checks, the check and readiness checks.
#include "core/marathon/read_app.h"

namespace smackd::marathon {

using core::Json;
using wire::CheckProtocol;

namespace {

constexpr size_t kNameBytesMax = 1024;
constexpr int64_t kPortMax = 65535;
constexpr int64_t kFailuresMax = 1'000'000;
constexpr size_t kStatusesMax = 100;
/// Shorter would be a load rather than a check.
constexpr Range kInterval{0.1, kDurationMaxS};

constexpr std::pair<std::string_view, CheckProtocol> kProtocols[] = {
    {"HTTP", wire::CHECK_HTTP},
    {"HTTPS", wire::CHECK_HTTPS},
    {"TCP", wire::CHECK_TCP},
    {"COMMAND", wire::CHECK_COMMAND},
    {"MESOS_HTTP", wire::CHECK_MESOS_HTTP},
    {"MESOS_HTTPS", wire::CHECK_MESOS_HTTPS},
    {"MESOS_TCP", wire::CHECK_MESOS_TCP},
};

CheckProtocol read_protocol(const Fields& fields) {
    const std::string name = fields.text("protocol", kNameBytesMax).value_or("HTTP");
    for (const auto& [known, protocol] : kProtocols) {
        if (known == name) return protocol;
    }
    fields.wrong("protocol", "must be one of HTTP, HTTPS, TCP, COMMAND, MESOS_HTTP, MESOS_HTTPS, MESOS_TCP");
    return wire::CHECK_HTTP;
}

bool is_http(CheckProtocol protocol) {
    return protocol == wire::CHECK_HTTP || protocol == wire::CHECK_HTTPS ||
           protocol == wire::CHECK_MESOS_HTTP || protocol == wire::CHECK_MESOS_HTTPS;
}

/// portIndex is 0 when neither it nor port is given.
template <class Check>
void read_port(const Fields& fields, Check& check) {
    const auto port = fields.integer("port", 0, kPortMax);
    const auto index = fields.integer("portIndex", 0, static_cast<int64_t>(kListMax));
    if (port) check.set_port(static_cast<uint32_t>(*port));
    if (index || !port) check.set_port_index(static_cast<uint32_t>(index.value_or(0)));
}

std::string read_path(const Fields& fields) {
    std::string path = fields.text("path", kNameBytesMax).value_or("");
    for (const char c : path) {
        if (c <= ' ' || c >= '\x7f') {
            fields.wrong("path", "must be printable ASCII without spaces");
            return "";
        }
    }
    return path;
}

/// {"value": "..."}, and the plain string of the oldest definitions.
std::string read_health_command(const Fields& fields) {
    const Json* command = fields.find("command");
    if (command != nullptr && command->is_string()) return fields.required_text("command", kTextBytesMax);
    if (command == nullptr) {
        fields.wrong("command", "error.path.missing: must be given");
        return "";
    }
    return fields.object("command").required_text("value", kTextBytesMax);
}

void read_health_check(const Fields& fields, wire::HealthCheck& check) {
    const CheckProtocol protocol = read_protocol(fields);
    check.set_protocol(protocol);
    if (protocol == wire::CHECK_COMMAND) {
        check.set_command(read_health_command(fields));
    } else {
        read_port(fields, check);
    }
    if (is_http(protocol)) {
        check.set_path(read_path(fields));
        check.set_ignore_http_1xx(fields.boolean("ignoreHttp1xx").value_or(false));
    }
    check.set_grace_ms(fields.seconds_as_ms("gracePeriodSeconds").value_or(300'000));
    check.set_interval_ms(fields.seconds_as_ms("intervalSeconds", kInterval).value_or(60'000));
    check.set_timeout_ms(fields.seconds_as_ms("timeoutSeconds", kInterval).value_or(20'000));
    check.set_delay_ms(fields.seconds_as_ms("delaySeconds").value_or(15'000));
    check.set_max_consecutive_failures(
        static_cast<uint32_t>(fields.integer("maxConsecutiveFailures", 0, kFailuresMax).value_or(3)));
    const std::string ip = fields.text("ipProtocol", kNameBytesMax).value_or("IPv4");
    if (ip != "IPv4" && ip != "IPv6") fields.wrong("ipProtocol", "must be one of IPv4, IPv6");
    check.set_ipv6(ip == "IPv6");
}

void read_app_check(const Fields& fields, wire::AppCheck& check) {
    const int kinds = fields.has("http") + fields.has("tcp") + fields.has("exec");
    if (kinds != 1) fields.violations().add(fields.path(), "must have exactly one of http, tcp, exec");
    if (fields.has("exec")) {
        check.set_protocol(wire::CHECK_COMMAND);
        const Fields command = fields.object("exec").object("command");
        check.set_command(command.has("shell") ? command.required_text("shell", kTextBytesMax)
                                               : command.required_text("value", kTextBytesMax));
    } else if (fields.has("tcp")) {
        check.set_protocol(wire::CHECK_TCP);
        read_port(fields.object("tcp"), check);
    } else {
        const Fields http = fields.object("http");
        const std::string scheme = http.text("scheme", kNameBytesMax).value_or("HTTP");
        if (scheme != "HTTP" && scheme != "HTTPS") http.wrong("scheme", "must be one of HTTP, HTTPS");
        check.set_protocol(scheme == "HTTPS" ? wire::CHECK_HTTPS : wire::CHECK_HTTP);
        check.set_path(read_path(http));
        read_port(http, check);
    }
    check.set_interval_ms(fields.seconds_as_ms("intervalSeconds", kInterval).value_or(60'000));
    check.set_timeout_ms(fields.seconds_as_ms("timeoutSeconds", kInterval).value_or(20'000));
    check.set_delay_ms(fields.seconds_as_ms("delaySeconds").value_or(15'000));
}

void read_statuses(const Fields& fields, wire::ReadinessCheck& check) {
    const std::string name = "httpStatusCodesForReady";
    fields.elements(name, kStatusesMax, [&](const Json& element, const std::string& path) {
        if (!element.is_integer()) {
            fields.violations().add_type(path, "error.expected.jsnumber: must be a whole number");
        } else if (element.as_integer() < 100 || element.as_integer() > 999) {
            fields.violations().add(path, "expected between 100 and 999");
        } else {
            check.add_ready_statuses(static_cast<uint32_t>(element.as_integer()));
        }
    });
    if (fields.has(name) && fields.find(name)->as_array().empty()) fields.wrong(name, "must not be empty");
    if (!fields.has(name)) check.add_ready_statuses(200);
}

void read_readiness_check(const Fields& fields, wire::ReadinessCheck& check) {
    check.set_name(fields.text("name", kNameBytesMax).value_or("readinessCheck"));
    const std::string protocol = fields.text("protocol", kNameBytesMax).value_or("HTTP");
    if (protocol != "HTTP" && protocol != "HTTPS") fields.wrong("protocol", "must be one of HTTP, HTTPS");
    check.set_https(protocol == "HTTPS");
    check.set_path(fields.has("path") ? read_path(fields) : "/");
    check.set_port_name(fields.text("portName", kNameBytesMax).value_or("http-api"));
    check.set_interval_ms(fields.seconds_as_ms("intervalSeconds", kInterval).value_or(30'000));
    check.set_timeout_ms(fields.seconds_as_ms("timeoutSeconds", kInterval).value_or(10'000));
    read_statuses(fields, check);
    check.set_preserve_last_response(fields.boolean("preserveLastResponse").value_or(false));
}

}  // namespace

void read_checks(const Fields& fields, wire::AppDefinition& app) {
    fields.elements("healthChecks", kListMax, [&](const Json& element, const std::string& path) {
        read_health_check(Fields(element, path, fields.violations()), *app.add_health_checks());
    });
    if (fields.has("check")) read_app_check(fields.object("check"), *app.mutable_check());
    fields.elements("readinessChecks", kListMax, [&](const Json& element, const std::string& path) {
        read_readiness_check(Fields(element, path, fields.violations()), *app.add_readiness_checks());
    });
}

}  // namespace smackd::marathon
