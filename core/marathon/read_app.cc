#include "core/marathon/read_app.h"

#include <algorithm>
#include <cmath>

#include "core/marathon/path_id.h"
#include "core/units.h"

namespace smackd::marathon {

using core::Json;
using wire::AppDefinition;

namespace {

constexpr Range kCpus{0.001, 100'000};
constexpr Range kMebibytes{0, 1024.0 * 1024 * 1024};
constexpr int64_t kGpusMax = 1024;
constexpr size_t kNameBytesMax = 1024;

uint64_t milli(double cpus) {
    return static_cast<uint64_t>(std::llround(cpus * 1000));
}

void read_requests(const Fields& fields, wire::Resources& resources, const wire::Resources& defaults,
                   Range cpus) {
    const auto given = fields.number("cpus", cpus);
    resources.set_cpus_milli(given ? milli(*given) : defaults.cpus_milli());
    resources.set_memory_bytes(fields.mib_as_bytes("mem", kMebibytes).value_or(defaults.memory_bytes()));
    resources.set_disk_bytes(fields.mib_as_bytes("disk", kMebibytes).value_or(defaults.disk_bytes()));
    resources.set_gpus(static_cast<uint32_t>(fields.integer("gpus", 0, kGpusMax).value_or(0)));
}

wire::Resources resources_of(uint64_t cpus_milli, uint64_t memory_mib, uint64_t disk_mib) {
    wire::Resources resources;
    resources.set_cpus_milli(cpus_milli);
    resources.set_memory_bytes(memory_mib * core::kMiB);
    resources.set_disk_bytes(disk_mib * core::kMiB);
    return resources;
}

bool is_unlimited(const Fields& fields, std::string_view name) {
    const Json* member = fields.find(name);
    if (member == nullptr || !member->is_string()) return false;
    if (member->as_string() != "unlimited") fields.wrong(name, "must be a number or \"unlimited\"");
    return true;
}

void read_limits(const Fields& fields, wire::ResourceLimits& limits) {
    if (is_unlimited(fields, "cpus")) {
        limits.set_cpus_unlimited(true);
    } else if (const auto cpus = fields.number("cpus", kCpus)) {
        limits.set_cpus_milli(milli(*cpus));
    }
    if (is_unlimited(fields, "mem")) {
        limits.set_memory_unlimited(true);
    } else if (const auto memory = fields.mib_as_bytes("mem", kMebibytes)) {
        limits.set_memory_bytes(*memory);
    }
}

/// Marathon's guess for `uris`: archives are unpacked.
bool is_archive(std::string_view uri) {
    constexpr std::string_view kEndings[] = {".tgz", ".tar.gz", ".tbz2", ".tar.bz2",
                                             ".txz", ".tar.xz", ".zip"};
    const std::string_view path = uri.substr(0, uri.find_first_of("?#"));
    return std::ranges::any_of(kEndings, [&](std::string_view ending) { return path.ends_with(ending); });
}

void check_uri(const std::string& uri, const std::string& path, Violations& violations) {
    const bool printable = std::ranges::all_of(uri, [](char c) { return c > ' ' && c < '\x7f'; });
    if (uri.empty() || !printable || uri.starts_with(':')) violations.add(path, "URI has invalid syntax.");
}

void read_variable(const std::string& name, const Json& value, const std::string& path,
                   Violations& violations, wire::EnvironmentVariable& variable) {
    variable.set_name(name);
    if (name.empty()) violations.add(path, "must not be empty");
    if (name.contains('=') || name.contains('\0'))
        violations.add(path, "must not contain '=' or a zero byte");
    if (!value.is_object()) {
        variable.set_plain(read_text(value, path, kTextBytesMax, violations).value_or(""));
        return;
    }
    variable.set_secret(Fields(value, path, violations).required_text("secret", kNameBytesMax));
}

}  // namespace

void read_identity(const Fields& fields, const AppContext& context, AppDefinition& app) {
    std::string id = context.id;
    if (const auto given = fields.text("id", kAppIdBytesMax)) {
        auto absolute = resolve_app_id(*given, context.base);
        if (!absolute) {
            fields.wrong("id", absolute.error().message);
        } else if (!id.empty() && *absolute != id) {
            // Clients that name the app in the URL may repeat its last part only.
            if (resolve_app_id(*given, parent_id(id)).value_or("") != id)
                fields.wrong("id", "must be that of the address, " + id);
        } else {
            id = *std::move(absolute);
        }
    } else if (id.empty() && !fields.has("id")) {
        fields.wrong("id", "error.path.missing: must be given");
    }
    app.set_id(id);
}

void read_resources(const Fields& fields, AppDefinition& app) {
    app.set_instances(static_cast<uint32_t>(fields.integer("instances", 0, kInstancesMax).value_or(1)));
    read_requests(fields, *app.mutable_resources(), resources_of(1000, 128, 0), kCpus);
    if (fields.has("resourceLimits")) read_limits(fields.object("resourceLimits"), *app.mutable_limits());
    app.set_executor(fields.text("executor", kNameBytesMax).value_or(""));
    if (fields.has("executorResources")) {
        read_requests(fields.object("executorResources"), *app.mutable_executor_resources(),
                      resources_of(100, 32, 10), {0, kCpus.max});
    }
}

void read_command(const Fields& fields, AppDefinition& app) {
    if (const auto cmd = fields.text("cmd", kTextBytesMax)) {
        if (cmd->size() < 2) fields.wrong("cmd", "must have more than one character");
        app.set_cmd(*cmd);
    }
    fields.texts("args", kListMax, kTextBytesMax,
                 [&](std::string value, const std::string&) { app.add_args(std::move(value)); });
    app.set_user(fields.text("user", kNameBytesMax).value_or(""));
    app.set_tty(fields.boolean("tty").value_or(false));
}

void read_environment(const Fields& fields, AppDefinition& app) {
    fields.members("env", kEnvironmentMax,
                   [&](const std::string& name, const Json& value, const std::string& path) {
                       read_variable(name, value, path, fields.violations(), *app.add_env());
                   });
    std::ranges::sort(*app.mutable_env(), {}, &wire::EnvironmentVariable::name);
    fields.members("secrets", kListMax,
                   [&](const std::string& name, const Json& value, const std::string& path) {
                       wire::AppSecret& secret = *app.add_secrets();
                       secret.set_name(name);
                       if (name.empty()) fields.violations().add(path, "must not be empty");
                       secret.set_source(
                           Fields(value, path, fields.violations()).required_text("source", kNameBytesMax));
                   });
    std::ranges::sort(*app.mutable_secrets(), {}, &wire::AppSecret::name);
    read_labels(fields, "labels", *app.mutable_labels());
}

void read_labels(const Fields& fields, std::string_view name,
                 google::protobuf::RepeatedPtrField<wire::Label>& labels) {
    fields.members(name, kListMax, [&](const std::string& key, const Json& value, const std::string& path) {
        wire::Label& label = *labels.Add();
        label.set_key(key);
        label.set_value(read_text(value, path, kTextBytesMax, fields.violations()).value_or(""));
    });
    std::ranges::sort(labels, {}, &wire::Label::key);
}

void read_fetch(const Fields& fields, AppDefinition& app) {
    if (fields.has("uris") && fields.has("fetch"))
        fields.wrong("uris", "is the old form of fetch: give one of them");
    fields.elements("fetch", kListMax, [&](const Json& element, const std::string& path) {
        const Fields given(element, path, fields.violations());
        wire::Fetch& fetch = *app.add_fetch();
        fetch.set_uri(given.required_text("uri", kUriBytesMax));
        if (!fetch.uri().empty()) check_uri(fetch.uri(), path + "/uri", fields.violations());
        fetch.set_extract(given.boolean("extract").value_or(true));
        fetch.set_executable(given.boolean("executable").value_or(false));
        fetch.set_cache(given.boolean("cache").value_or(false));
        fetch.set_dest_path(given.text("destPath", kNameBytesMax).value_or(""));
    });
    if (fields.has("fetch")) return;
    fields.texts("uris", kListMax, kUriBytesMax, [&](const std::string& uri, const std::string& path) {
        check_uri(uri, path, fields.violations());
        wire::Fetch& fetch = *app.add_fetch();
        fetch.set_uri(uri);
        fetch.set_extract(is_archive(uri));
    });
}

AppDefinition read_app(const Json& json, const std::string& path, const AppContext& context,
                       Violations& violations) {
    const Fields fields(json, path, violations);
    AppDefinition app;
    read_identity(fields, context, app);
    read_resources(fields, app);
    read_command(fields, app);
    read_environment(fields, app);
    read_fetch(fields, app);
    read_container(fields, app);
    read_network(fields, app);
    read_checks(fields, app);
    read_placement(fields, app);
    read_strategies(fields, app);
    if (!violations.has_type_errors()) check_rules(app, path, violations);
    return app;
}

}  // namespace smackd::marathon
