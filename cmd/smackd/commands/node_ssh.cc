#include "cmd/smackd/commands/node_ssh.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "cmd/smackd/client/api_client.h"

namespace smackd::cmd {

using core::Errc;
using core::fail;
using core::Json;
using core::Result;

namespace {

constexpr size_t kNameBytesMax = 255;

const Option kLeader{"--leader", "", "the server that leads"};
const Option kMesosId{"--mesos-id", "ID", "the node with this number, as DC/OS says it"};
const Option kPrivateIp{"--private-ip", "IP", "the node with this address"};
const Option kUser{"--user", "NAME", "to sign in as (ssh's own choice)"};
const Option kOption{"--option", "NAME=VALUE", "for ssh, as its -o; repeatable", true};
const Option kMasterProxy{"--master-proxy", "", "by way of the leader"};
const Option kProxyIp{"--proxy-ip", "HOST", "by way of this host"};

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/// A host, address or user: never an option of ssh's, nothing that it or a shell reads in another way.
Result<void> check_name(std::string_view what, std::string_view name) {
    const bool plain = std::ranges::all_of(
        name, [](char c) { return is_letter(c) || std::string_view("._:-").contains(c); });
    if (!name.empty() && name.size() <= kNameBytesMax && plain && name.front() != '-') return {};
    return fail(Errc::kInvalid,
                "{} '{}': must be 1 to {} characters of [a-zA-Z0-9._:-], not beginning with '-'", what,
                name.substr(0, 64), kNameBytesMax);
}

Result<void> check_option(std::string_view option) {
    const size_t equals = option.find('=');
    const std::string_view name = option.substr(0, equals);
    if (equals != std::string_view::npos && !name.empty() && std::ranges::all_of(name, is_letter)) return {};
    return fail(Errc::kInvalid, "--option '{}': must be NAME=VALUE, as StrictHostKeyChecking=yes",
                option.substr(0, 64));
}

/// Where the node's sshd is to be found.
std::string host_of(const Json& node) {
    const std::string own = node["capacity"]["address"].as_string();
    if (!own.empty()) return own;
    const std::string address = node["address"].as_string();
    std::string host = address.substr(0, address.rfind(':'));
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    return host.empty() ? node["machine"].as_string() : host;
}

Result<Json> find(const SshPlan& plan, const Json& nodes, const std::string& leader) {
    if (plan.leader && leader.empty())
        return fail(Errc::kUnavailable, "there is no leader now; see: smackd status");
    for (const Json& node : nodes.as_array()) {
        const std::string id = node["id"].as_string();
        const bool meant = plan.leader ? id == leader
                           : plan.private_ip.empty()
                               ? id == plan.node || node["machine"].as_string() == plan.node
                               : host_of(node) == plan.private_ip;
        if (meant) return node;
    }
    const std::string wanted = plan.leader ? "of the leader" : plan.node + plan.private_ip;
    return fail(Errc::kNotFound, "no node '{}'; see: smackd node list", wanted.substr(0, 64));
}

/// Arrives at the other shell as one word.
std::string as_one_word(std::string_view word) {
    std::string out = "'";
    for (const char c : word) out += c == '\'' ? "'\\''" : std::string(1, c);
    return out + "'";
}

Result<std::string> proxy_of(const SshPlan& plan, const Json& nodes, const std::string& leader) {
    std::string host = plan.proxy;
    if (plan.by_leader) {
        SshPlan to_leader;
        to_leader.leader = true;
        TRY_ASSIGN(const Json node, find(to_leader, nodes, leader));
        host = host_of(node);
    }
    TRY(check_name("proxy", host));
    if (host.contains(':')) host = "[" + host + "]";
    return plan.user.empty() ? host : plan.user + "@" + host;
}

}  // namespace

Result<SshPlan> ssh_plan(const Arguments& arguments) {
    SshPlan plan;
    plan.leader = arguments.has(kLeader.name);
    plan.private_ip = arguments.value(kPrivateIp.name);
    plan.node = arguments.value(kMesosId.name);
    const int named = int{plan.leader} + int{!plan.private_ip.empty()} + int{!plan.node.empty()};
    if (named > 1) return fail(Errc::kInvalid, "--leader, --mesos-id and --private-ip exclude each other");
    // With one of these the first word is the command's, as in DC/OS.
    if (named == 1) {
        plan.words = arguments.all("NODE");
    } else {
        plan.node = arguments.value("NODE");
        if (plan.node.empty())
            return fail(Errc::kInvalid, "NODE is missing; or one of --leader, --mesos-id, --private-ip");
    }
    for (std::string& word : arguments.all("CMD")) plan.words.push_back(std::move(word));
    plan.user = arguments.value(kUser.name);
    if (arguments.has(kUser.name)) TRY(check_name(kUser.name, plan.user));
    plan.options = arguments.all(kOption.name);
    for (const std::string& option : plan.options) TRY(check_option(option));
    plan.by_leader = arguments.has(kMasterProxy.name);
    plan.proxy = arguments.value(kProxyIp.name);
    if (plan.by_leader && !plan.proxy.empty())
        return fail(Errc::kInvalid, "--master-proxy and --proxy-ip exclude each other");
    return plan;
}

Result<std::vector<std::string>> ssh_words(const SshPlan& plan, const Json& nodes, const std::string& leader,
                                           bool terminal) {
    TRY_ASSIGN(const Json node, find(plan, nodes, leader));
    const std::string host = host_of(node);
    const std::string machine = node["machine"].as_string();
    TRY(check_name("the node's address", host));
    TRY(check_name("the node's machine", machine));
    std::vector<std::string> words{"ssh"};
    if (terminal) words.push_back("-t");
    // Its key is known by the machine's name, whatever address it has.
    words.insert(words.end(), {"-o", "HostKeyAlias=" + machine});
    for (const std::string& option : plan.options) words.insert(words.end(), {"-o", option});
    if (!plan.user.empty()) words.insert(words.end(), {"-l", plan.user});
    if (plan.by_leader || !plan.proxy.empty()) {
        TRY_ASSIGN(std::string proxy, proxy_of(plan, nodes, leader));
        words.insert(words.end(), {"-J", std::move(proxy)});
    }
    words.insert(words.end(), {"--", host});
    // One word is for the shell there, as ssh has it; several arrive as they were typed.
    if (plan.words.size() == 1) words.push_back(plan.words.front());
    if (plan.words.size() > 1) {
        for (const std::string& word : plan.words) words.push_back(as_one_word(word));
    }
    return words;
}

Result<void> node_ssh(Context& context) {
    auto plan = ssh_plan(context.arguments);
    if (!plan) return context.usage(plan.error().message);
    TRY_ASSIGN(auto client, ApiClient::open(context.arguments));
    TRY_ASSIGN(const Json answer, client->get("/smack/v1/nodes"));
    std::string leader;
    if (plan->leader || plan->by_leader) {
        TRY_ASSIGN(const Json status, client->get("/smack/v1/status"));
        leader = status["leader"]["id"].as_string();
    }
    const bool terminal = ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
    TRY_ASSIGN(std::vector<std::string> words, ssh_words(*plan, answer["nodes"], leader, terminal));
    if (context.output.json()) {
        Json command = Json::array();
        for (const std::string& word : words) command.push(word);
        context.output.document(Json::object().set("command", std::move(command)));
        return {};
    }
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    ::signal(SIGPIPE, SIG_DFL);
    ::execvp("ssh", arguments.data());
    if (errno == ENOENT)
        return fail(Errc::kNotFound, "no 'ssh' in PATH: install an ssh client (openssh-client)");
    return core::fail_errno(errno, "ssh");
}

std::vector<Option> node_ssh_options() {
    return {kLeader, kMesosId, kPrivateIp, kUser, kOption, kMasterProxy, kProxyIp};
}

std::vector<Positional> node_ssh_positionals() {
    return {
        {"NODE", "its number or its machine's name; not with --leader, --mesos-id or --private-ip", false},
        {"CMD",
         "to run there instead of a shell; one word is read by the shell there, several arrive as typed",
         false, true}};
}

}  // namespace smackd::cmd
