#include "cmd/smackd/edge/edge.h"

#include <charconv>

#include "cmd/smackd/commands/commands.h"

namespace smackd::cmd {
namespace {

core::Result<void> read_number(Context& context, std::string_view option, auto& into) {
    if (!context.arguments.has(option)) return {};
    const std::string text = context.arguments.value(option);
    auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), into);
    if (text.empty() || error != std::errc() || stop != text.data() + text.size())
        return context.usage(std::format("{}: '{}' is no number", option, text));
    return {};
}

core::Result<void> edge(Context& context) {
    EdgeOptions options;
    options.table_file = context.arguments.value("--table");
    TRY(read_number(context, "--socket-fd", options.socket));
    TRY(read_number(context, "--uid", options.uid));
    TRY(read_number(context, "--gid", options.gid));
    options.root = context.arguments.value("--root");
    options.verbose = context.arguments.has("--verbose");
    const std::string listeners = context.arguments.value("--listeners", "self");
    if (listeners != "self" && listeners != "parent") return context.usage("--listeners is self or parent");
    options.make_listeners = listeners == "self";
    if (options.table_file.empty() == (options.socket < 0))
        return context.usage("one of --table FILE (alone) and --socket-fd N (from the daemon) is needed");
    if (!options.table_file.empty() && !options.make_listeners)
        return context.usage("--listeners parent needs --socket-fd");
    return run_edge(options);
}

}  // namespace

std::vector<Command> edge_commands() {
    return {{"edge",
             "runs ingress and DNS alone by a table; the daemon starts it by itself",
             "smackd edge --table table.json",
             {},
             {{"--table", "FILE", "what to serve, as JSON; read again at SIGHUP"},
              {"--socket-fd", "N", "take tables from the daemon at this descriptor, confined"},
              {"--listeners", "WHO", "self or parent: who opens listening sockets (default self)"},
              {"--uid", "UID", "with --socket-fd: run as this user"},
              {"--gid", "GID", "with --socket-fd: run as this group"},
              {"--root", "DIR", "with --socket-fd: see nothing but this (empty) folder"},
              {"--verbose", "", "log more"}},
             edge}};
}

}  // namespace smackd::cmd
