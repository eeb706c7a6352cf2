// `smackd node ssh`: the site's own ssh client, to a node by its name. No door of smackd's leads to a shell
// of a machine: who may sign in there is decided by the machine's sshd, as ever.
#pragma once

#include <string>
#include <vector>

#include "cmd/smackd/command.h"
#include "core/json.h"

namespace smackd::cmd {

/// Which node is meant, and what is asked of ssh.
struct SshPlan {
    std::string node;  ///< number or machine; empty: one of the next two
    bool leader = false;
    std::string private_ip;
    std::string user;                  ///< empty: ssh's own choice
    std::vector<std::string> options;  ///< "NAME=VALUE", as for ssh -o
    bool by_leader = false;            ///< by way of the leader
    std::string proxy;                 ///< by way of this host
    std::vector<std::string> words;    ///< to run there; empty: a shell
};

/// kInvalid names the option and the rule.
core::Result<SshPlan> ssh_plan(const Arguments& arguments);

/// The words of ssh, for these rows of /smack/v1/nodes. `leader`: the leader's node number, empty: there is
/// none. `terminal`: we have one. kNotFound when the node is not among them, kInvalid for an address that
/// could be taken for something else.
core::Result<std::vector<std::string>> ssh_words(const SshPlan& plan, const core::Json& nodes,
                                                 const std::string& leader, bool terminal);

/// Becomes ssh; returns when it does not.
core::Result<void> node_ssh(Context& context);
std::vector<Option> node_ssh_options();
std::vector<Positional> node_ssh_positionals();

}  // namespace smackd::cmd
