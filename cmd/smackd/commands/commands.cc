#include "cmd/smackd/commands/commands.h"

#include <iterator>

#include "cmd/smackd/commands/bundle.h"
#include "cmd/smackd/commands/config.h"

namespace smackd::cmd {

const std::vector<Command>& all_commands() {
    static const std::vector<Command> commands = [] {
        std::vector<Command> all;
        for (auto group :
             {daemon_commands, recover_commands, join_commands,   status_commands, session_commands,
              realm_commands,  machine_commands, node_commands,   top_commands,    user_commands,
              group_commands,  policy_commands,  app_commands,    task_commands,   image_commands,
              state_commands,  backup_commands,  bundle_commands, config_commands, edge_commands}) {
            std::vector<Command> some = group();
            all.insert(all.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
        }
        return all;
    }();
    return commands;
}

}  // namespace smackd::cmd
