#include "cmd/smackd/commands/config.h"

#include <unistd.h>

#include <cstdlib>
#include <format>

#include "cmd/smackd/command.h"
#include "cmd/smackd/completion.h"
#include "cmd/smackd/config_text.h"
#include "cmd/smackd/data_directory.h"
#include "cmd/smackd/man_page.h"

namespace smackd::cmd {
namespace {

/// A file that is named must exist; the usual one need not.
core::Result<Config> read_settings(const std::string& path, bool must_exist) {
    Config config;
    TRY(load_config(path, must_exist, config));
    TRY(read_environment(config));
    return config;
}

/// Wrong settings, for a service manager, which takes a smaller code for "not now".
constexpr int kExitWrongSettings = 255;

core::Result<void> check(Context& context) {
    const std::string path = context.arguments.value("FILE", kConfigPath);
    const bool node = context.arguments.has("--node");
    auto read = read_settings(path, context.arguments.has("FILE"));
    if (!read) {
        if (node) context.exit_code = kExitWrongSettings;
        return core::pass(std::move(read));
    }
    const Config& config = *read;
    if (node && ::access(DataDirectory(config.data_dir).identity().c_str(), F_OK) != 0)
        return core::fail(core::Errc::kNotFound,
                          "this machine is no node yet (nothing in {}); smackd status says the "
                          "next step",
                          config.data_dir);
    size_t set = 0;
    for (const ConfigKey& key : config_keys()) {
        if (value_text(key, config) != value_text(key, Config{})) ++set;
    }
    context.output.say(std::format("{} is fine; {} of {} settings are not the built-in ones.", path, set,
                                   config_keys().size()));
    context.output.document(core::Json::object().set("file", path).set("changed", set));
    return {};
}

/// Who said it last.
std::string_view source_of(const ConfigKey& key, const Config& config) {
    if (std::getenv(variable_of(key).c_str()) != nullptr) return "environment";
    return value_text(key, config) == value_text(key, Config{}) ? "built-in" : "file";
}

core::Result<void> show(Context& context) {
    TRY_ASSIGN(const Config config, read_settings(context.arguments.value("--config", kConfigPath),
                                                  context.arguments.has("--config")));
    core::Json rows = core::Json::array();
    for (const ConfigKey& key : config_keys()) {
        const std::string_view source = source_of(key, config);
        if (source == "built-in" && !context.arguments.has("--effective")) continue;
        const std::string value = value_text(key, config);
        core::Json row;
        row.set("key", key.name).set("value", value.empty() ? "(found at the start)" : value);
        rows.push(std::move(row.set("source", source)));
    }
    context.output.table("settings", rows, {{"KEY", "key"}, {"VALUE", "value"}, {"SOURCE", "source"}},
                         "All settings are the built-in ones; --effective shows them.");
    return {};
}

core::Result<void> example(Context& context) {
    const std::string text = example_config();
    context.output.say(text.substr(0, text.size() - 1));
    context.output.document(core::Json::object().set("text", text));
    return {};
}

core::Result<void> complete(Context& context) {
    const std::string shell = context.arguments.value("SHELL");
    struct Known {
        std::string_view name;
        Shell shell;
    };
    for (const Known& known :
         {Known{"bash", Shell::kBash}, Known{"zsh", Shell::kZsh}, Known{"fish", Shell::kFish}}) {
        if (shell != known.name) continue;
        print(completion(known.shell, all_commands()));
        return {};
    }
    return context.usage(std::format("'{}' is no shell that is known; known are bash, zsh, fish", shell));
}

core::Result<void> man(Context& context) {
    const std::string page = context.arguments.value("PAGE", "smackd");
    if (page != "smackd" && page != "smackd.toml")
        return context.usage(std::format("'{}' is no page; known are smackd, smackd.toml", page));
    print(page == "smackd" ? program_page(all_commands()) : config_page());
    return {};
}

}  // namespace

std::vector<Command> config_commands() {
    return {
        {"config check",
         "checks a configuration file, and the variables that go over it",
         "smackd config check /etc/smackd/smackd.toml",
         {{"FILE", "configuration (default /etc/smackd/smackd.toml)", false}},
         {{"--node", "",
           "and that this machine is a node, for service managers: 1 when it is none yet, 255 when the "
           "settings are "
           "wrong"}},
         check},
        {"config show",
         "shows what the file and the environment set",
         "smackd config show --effective",
         {},
         {{"--effective", "", "all settings, the built-in ones too"},
          {"--config", "FILE", "configuration (default /etc/smackd/smackd.toml)"}},
         show},
        {"config example",
         "prints a configuration file with every key, commented out",
         "smackd config example > smackd.toml",
         {},
         {},
         example},
        {"completion",
         "prints the completions for a shell",
         "smackd completion bash > /etc/bash_completion.d/smackd",
         {{"SHELL", "bash, zsh or fish"}},
         {},
         complete},
        {"man",
         "prints a manual page in roff",
         "smackd man smackd.toml",
         {{"PAGE", "smackd (the default) or smackd.toml", false}},
         {},
         man},
    };
}

}  // namespace smackd::cmd
