#include "cmd/smackd/client/session_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <format>

#include "cmd/smackd/data_directory.h"
#include "core/json.h"

namespace smackd::cmd {
namespace {

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string() : std::string(value);
}

core::Json load_all() {
    std::string path = session_path();
    struct stat info{};
    // Somebody else's file could hand us a token of theirs and read what we do with it.
    if (path.empty() || ::stat(path.c_str(), &info) != 0 || info.st_uid != ::geteuid())
        return core::Json::object();
    auto text = read_small_file(path);
    if (!text) return core::Json::object();
    auto parsed = core::Json::parse(*text);
    return parsed && parsed->is_object() ? std::move(*parsed) : core::Json::object();
}

core::Result<void> store_all(const core::Json& sessions) {
    std::string path = session_path();
    if (path.empty()) return core::fail(core::Errc::kIo, "cannot save the session: HOME is not set");
    std::string folder = path.substr(0, path.rfind('/'));
    std::string parent = folder.substr(0, folder.rfind('/'));
    ::mkdir(parent.c_str(), 0755);  // a failure shows when the file is written
    ::mkdir(folder.c_str(), 0700);
    return replace_file(path, sessions.dump_pretty() + "\n", 0600);
}

core::Json without(const core::Json& sessions, const std::string& server) {
    core::Json rest = core::Json::object();
    for (const auto& [name, session] : sessions.as_object()) {
        if (name != server) rest.set(name, session);
    }
    return rest;
}

}  // namespace

std::string session_path() {
    if (std::string path = environment("SMACKD_SESSION_FILE"); !path.empty()) return path;
    if (std::string base = environment("XDG_CONFIG_HOME"); !base.empty())
        return base + "/smackd/session.json";
    std::string home = environment("HOME");
    return home.empty() ? std::string() : home + "/.config/smackd/session.json";
}

std::optional<Session> load_session(const std::string& server) {
    core::Json sessions = load_all();
    const core::Json& found = sessions[server];
    if (!found.is_object() || found["token"].as_string().empty()) return std::nullopt;
    return Session{server, found["token"].as_string(), found["principal"].as_string(),
                   found["expires_s"].as_integer(), found["ca_pem"].as_string()};
}

core::Result<void> save_session(const Session& session) {
    core::Json entry;
    entry.set("token", session.token).set("principal", session.principal);
    entry.set("expires_s", session.expires_s).set("ca_pem", session.ca_pem);
    return store_all(without(load_all(), session.server).set(session.server, std::move(entry)));
}

core::Result<void> remove_session(const std::string& server) {
    core::Json sessions = load_all();
    if (sessions.find(server) == nullptr) return {};
    return store_all(without(sessions, server));
}

}  // namespace smackd::cmd
