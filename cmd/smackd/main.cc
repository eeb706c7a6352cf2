// One binary: every command, the daemon, and the entries of its child processes.
#include <signal.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "auth/kdc_process.h"
#include "cmd/smackd/command_line.h"
#include "core/wire/serialize.h"
#include "services/agent/launcher.h"
#include "services/agent/shim.h"
#include "services/agent/shim_handover.h"
#include "services/images/download.h"
#include "services/images/unpack_main.h"

namespace smackd::cmd {
namespace {

int run_command(const ParsedCommand& parsed) {
    Output output(parsed.json);
    Context context{parsed.arguments, output};
    auto result = parsed.command->run(context);
    if (result) return context.exit_code;
    output.error(result.error());
    return context.exit_code == kExitDone ? kExitRefused : context.exit_code;
}

int run(const std::vector<std::string>& words) {
    auto parsed = parse_command_line(all_commands(), words);
    if (!parsed) {
        Output(false).error(parsed.error());
        return kExitUsage;
    }
    if (const auto* help = std::get_if<HelpText>(&*parsed)) {
        print(help->text);
        return kExitDone;
    }
    return run_command(std::get<ParsedCommand>(*parsed));
}

}  // namespace
}  // namespace smackd::cmd

int main(int argc, char** argv) {
    ::signal(SIGPIPE, SIG_IGN);  // a closed connection is an error of its write, not the end of the process
    smackd::wire::silence_library();
    std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
    if (!words.empty() && words[0] == "shim")
        return smackd::agent::shim_main({words.begin() + 1, words.end()});
    if (words == std::vector<std::string>{smackd::agent::kShimCheck}) return smackd::agent::shim_check_main();
    if (!words.empty() && words[0].starts_with(smackd::agent::kReadyShim))
        return smackd::agent::ready_shim_main(argv[1], words.size() > 1);
    if (!words.empty() && words[0] == "launcher")
        return smackd::agent::launcher_main({words.begin() + 1, words.end()});
    if (!words.empty() && words[0] == "kdc") return smackd::auth::kdc_main({words.begin() + 1, words.end()});
    if (words == std::vector<std::string>{"unpack"}) return smackd::services::images::unpack_main();
    if (words == std::vector<std::string>{"fetch"}) return smackd::services::images::fetch_main();
    int code = smackd::cmd::run(words);
    // A Kerberos call that hangs on a thread of its own (client/deadline.h) must not keep the process.
    ::_exit(code);
}
