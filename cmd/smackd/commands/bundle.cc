#include "cmd/smackd/bundle.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <format>

#include "cmd/smackd/bootstrap.h"
#include "cmd/smackd/client/api_client.h"
#include "cmd/smackd/commands/bundle.h"
#include "cmd/smackd/commands/requests.h"
#include "cmd/smackd/commands/run_node.h"
#include "cmd/smackd/config_text.h"
#include "cmd/smackd/doctor/data.h"
#include "cmd/smackd/doctor/doctor.h"
#include "cmd/smackd/version.h"
#include "core/redact.h"
#include "net/system_clock.h"

namespace smackd::cmd {
namespace {

core::Json redacted(const core::Json& json) {
    auto parsed = core::Json::parse(core::redact(json.dump()));
    // What redacting made unreadable is not told at all.
    return parsed ? std::move(*parsed) : core::Json();
}

void add_findings(Context& context, BundleFiles& files) {
    core::Json rows = core::Json::array();
    for (Finding finding : examine(context)) {
        for (std::string* text : {&finding.message, &finding.advice, &finding.fix})
            *text = core::redact(*text);
        rows.push(finding_json(finding));
    }
    context.exit_code = kExitDone;
    files.add("doctor.json", rows);
}

void add_server(const Arguments& arguments, BundleFiles& files) {
    auto client = ApiClient::open(arguments);
    if (!client) return files.miss("server", client.error().message);
    struct Asked {
        const char* file;
        const char* target;
    };
    for (const Asked& asked :
         {Asked{"server/status.json", "/smack/v1/status"}, Asked{"server/nodes.json", "/smack/v1/nodes"},
          Asked{"server/refusals.json", "/smack/v1/refusals?limit=100"}}) {
        auto answer = (*client)->get(asked.target);
        if (answer) {
            files.add(asked.file, redacted(*answer));
        } else {
            files.miss(asked.file, answer.error().message);
        }
    }
    auto metrics = (*client)->call_raw("GET", "/metrics", std::nullopt);
    if (metrics) {
        files.add("server/metrics.txt", std::move(*metrics));
    } else {
        files.miss("server/metrics.txt", metrics.error().message);
    }
}

void add_node(Context& context, BundleFiles& files) {
    Config config;
    auto loaded = start_config(context);
    if (loaded) config = *loaded;
    if (!loaded) files.miss("settings.toml", loaded.error().message);
    if (!loaded) config.data_dir = context.arguments.value("--data-dir", config.data_dir);
    const DataDirectory directory(config.data_dir);
    auto running = read_small_file(running_settings_path(directory));
    if (running && daemon_of(directory) != 0) {
        Config told;
        if (read_config(*running, "settings", told)) config = std::move(told);
    }
    files.add("settings.toml", core::redact(settings_text(config)));
    add_machine_facts(files);
    if (::access(directory.path().c_str(), F_OK) != 0) return files.miss("data directory", "there is none");
    if (auto identity = read_small_file(directory.identity())) files.add("node.json", std::move(*identity));
    add_listing(directory, files);
    add_state(directory, files);
    add_log(config.log_file, files);
}

core::Result<void> bundle(Context& context) {
    const Arguments& arguments = context.arguments;
    const int64_t now_s = net::SystemClock().wall().unix_ms / 1000;
    std::string stamp = date_text(now_s * 1000);
    std::erase_if(stamp, [](char c) { return c == '-' || c == ':'; });
    std::ranges::replace(stamp, ' ', '-');
    const std::string folder = std::format("smackd-bundle-{}-{}", host_name(), stamp);
    const std::string path = arguments.value("FILE", folder + ".tar.gz");
    const char* url = std::getenv("SMACKD_URL");
    const bool remote =
        arguments.has("--url") || (url != nullptr && *url != '\0' && !arguments.has("--data-dir"));
    BundleFiles files;
    add_findings(context, files);
    if (!remote) add_node(context, files);
    add_server(arguments, files);
    core::Json about;
    about.set("version", kVersion).set("machine", host_name()).set("made_s", now_s).set("remote", remote);
    about.set("root", ::geteuid() == 0);
    TRY_ASSIGN(const core::Bytes packed, files.pack(folder, std::move(about), now_s));
    TRY(write_secret(path, packed));
    if (path == "-") return {};
    context.output.say(std::format("Wrote {} ({}, {} files). Look through it before you give it away.", path,
                                   core::format_bytes(packed.size()), files.files().size() + 1));
    context.output.document(core::Json::object().set("file", path).set("bytes", packed.size()));
    return {};
}

}  // namespace

std::vector<Command> bundle_commands() {
    return {
        {"bundle",
         "writes an archive for support: logs, findings, state in figures, metrics, settings; no secrets",
         "smackd bundle",
         {{"FILE", "where to (default smackd-bundle-HOST-TIME.tar.gz here); - is standard output", false}},
         with_server_options(doctor_options()),
         bundle},
    };
}

}  // namespace smackd::cmd
