#include "cmd/smackd/man_page.h"

#include <format>

#include "cmd/smackd/command_line.h"
#include "cmd/smackd/config_text.h"
#include "cmd/smackd/version.h"

namespace smackd::cmd {
namespace {

/// Text that roff takes as it stands: a line must not begin with a request.
std::string text(std::string_view plain) {
    std::string out;
    if (plain.starts_with(".") || plain.starts_with("'")) out += "\\&";
    for (char c : plain) {
        if (c == '\\') {
            out += "\\e";
        } else if (c == '-') {
            out += "\\-";
        } else {
            out += c;
        }
    }
    return out;
}

std::string title(std::string_view name, int section) {
    return std::format(".TH \"{}\" {} \"\" \"smackd {}\" \"smackd\"\n", text(name), section, kVersion);
}

std::string heading(std::string_view name) {
    return std::format(".SH {}\n", name);
}

/// A term with what it means, indented below it.
std::string term(std::string_view name, std::string_view value, std::string_view meaning) {
    std::string out = std::format(".TP\n\\fB{}\\fR", text(name));
    if (!value.empty()) out += std::format(" \\fI{}\\fR", text(value));
    return out + "\n" + text(meaning) + "\n";
}

std::string example(std::string_view line) {
    return std::format(".PP\n.RS 4\n.nf\n{}\n.fi\n.RE\n", text(line));
}

std::string command_section(const Command& command) {
    std::string out = std::format(".SS \"{}\"\n{}.\n", text(usage_line(command)), text(command.summary));
    for (const Positional& positional : command.positionals)
        out += term(positional.name, "", positional.help);
    for (const Option& option : command.options)
        out += term(option.name, option.value,
                    std::format("{}{}", option.help, option.repeatable ? " (may be repeated)" : ""));
    return out + example(command.example);
}

}  // namespace

std::string program_page(const std::vector<Command>& commands) {
    std::string out = title("smackd", 8);
    out += heading("NAME") + "smackd \\- a private cloud from one binary\n";
    out += heading("SYNOPSIS") + ".B smackd\n.I COMMAND\n.RI [ options ]\n";
    out += heading("DESCRIPTION");
    out += text(
               "Turns Linux machines into a private cloud: a replicated state, applications that are run, "
               "isolated, named and routed, and nobody gets in without a Kerberos ticket.") +
           "\n.PP\n" +
           text(
               "To try everything on this machine: smackd demo --data-dir DIR. A first node of a cluster: "
               "smackd realm init REALM, then systemctl start smackd. Another node: smackd join.") +
           "\n.PP\n" + text("Every command takes --help and --json (one JSON document instead of text).") +
           "\n";
    out += heading("COMMANDS");
    for (const Command& command : commands) out += command_section(command);
    out += heading("EXIT STATUS");
    out += term("0", "", "done");
    out += term("1", "", "refused or failed");
    out += term("2", "", "wrong usage");
    out += term("3", "",
                "start: this node was removed from its cluster; app plan --exit-code: there are changes");
    out += heading("ENVIRONMENT");
    out += term("SMACKD_URL", "", "the server: https://HOST:5050");
    out += term("SMACKD_KEYTAB, SMACKD_PRINCIPAL", "", "who you are, without a ticket");
    out +=
        term("SMACKD_SESSION_FILE", "", "where login keeps tokens (default ~/.config/smackd/session.json)");
    out += term("KRB5_CONFIG, KRB5CCNAME", "", "as for every Kerberos program");
    out += heading("FILES");
    out += term(kConfigPath, "", "settings of the node, see smackd.toml(5)");
    out += term(Config{}.data_dir, "", "everything that the node keeps");
    return out + heading("SEE ALSO") + ".BR smackd.toml (5)\n";
}

std::string config_page() {
    std::string out = title("smackd.toml", 5);
    out += heading("NAME") + "smackd.toml \\- settings of a smackd node\n";
    out += heading("SYNOPSIS") + text(kConfigPath) + "\n";
    out += heading("DESCRIPTION");
    out +=
        text(
            "A file in TOML. A key a.b is the key b below [a]. An unknown key is refused with its line and "
            "the "
            "nearest known one. Each key is also read from the environment, which goes over the file: "
            "listen.dns "
            "from SMACKD_LISTEN_DNS, lists separated by commas, none for an empty one. Flags go over both.") +
        "\n.PP\n" +
        text(
            "smackd config example prints a file with every key, smackd config check looks at one, smackd "
            "config "
            "show --effective shows what is in force.") +
        "\n";
    out += heading("KEYS");
    for (const ConfigKey& key : config_keys()) {
        const std::string built_in = value_text(key, Config{});
        out +=
            term(key.name, std::format("= {}", key.form),
                 built_in.empty() ? std::string(key.summary) : std::format("{} ({})", key.summary, built_in));
    }
    return out + heading("SEE ALSO") + ".BR smackd (8)\n";
}

}  // namespace smackd::cmd
