#include "cmd/smackd/commands/node_ssh.h"

#include <catch2/catch_test_macros.hpp>
#include <format>

#include "cmd/smackd/command_line.h"

namespace smackd::cmd {
namespace {

using core::Errc;
using core::Json;
using Words = std::vector<std::string>;

const char* const kNodes = R"([
    {"id": "1", "machine": "n1", "address": "10.0.0.1:5055", "capacity": {"address": "10.0.0.1"}},
    {"id": "2", "machine": "n2", "address": "[fd00::2]:5055"},
    {"id": "3", "machine": "a1", "address": ""},
    {"id": "4", "machine": "evil", "address": "-oProxyCommand=id:5055"},
    {"id": "5", "machine": "-x", "address": "10.0.0.5:5055"}])";

core::Result<SshPlan> plan_of(const Words& typed) {
    Words words{"node", "ssh"};
    words.insert(words.end(), typed.begin(), typed.end());
    auto parsed = parse_command_line(all_commands(), words);
    REQUIRE(parsed);
    return ssh_plan(std::get<ParsedCommand>(*parsed).arguments);
}

core::Result<Words> words_of(const Words& typed, const std::string& leader = "1", bool terminal = false) {
    auto plan = plan_of(typed);
    if (!plan) return core::pass(std::move(plan));
    return ssh_words(*plan, *Json::parse(kNodes), leader, terminal);
}

std::string said(const Words& typed, const std::string& leader = "1", bool terminal = false) {
    auto words = words_of(typed, leader, terminal);
    if (!words) return std::format("{}: {}", core::errc_name(words.error().code), words.error().message);
    std::string all;
    for (const std::string& word : *words) all += word + " ";
    return all;
}

}  // namespace

TEST_CASE("a node is found by number, machine, address or as the leader") {
    CHECK(said({"n1"}) == "ssh -o HostKeyAlias=n1 -- 10.0.0.1 ");
    CHECK(said({"1"}) == said({"n1"}));
    CHECK(said({"--mesos-id", "1"}) == said({"n1"}));
    CHECK(said({"--private-ip", "10.0.0.1"}) == said({"n1"}));
    CHECK(said({"--leader"}) == said({"n1"}));
    CHECK(said({"n2"}) == "ssh -o HostKeyAlias=n2 -- fd00::2 ");
    CHECK(said({"a1"}) == "ssh -o HostKeyAlias=a1 -- a1 ");
    CHECK(said({"n9"}).starts_with("not_found: no node 'n9'"));
    CHECK(said({"--leader"}, "").starts_with("unavailable: there is no leader now"));
    CHECK(said({}).contains("NODE is missing"));
    CHECK(said({"--leader", "--mesos-id", "1"}).contains("exclude each other"));
}

TEST_CASE("what is asked of ssh is passed on") {
    CHECK(said({"--user", "core", "--option", "Port=2222", "--option", "LogLevel=ERROR", "n1"}, "1", true) ==
          "ssh -t -o HostKeyAlias=n1 -o Port=2222 -o LogLevel=ERROR -l core -- 10.0.0.1 ");
    CHECK(said({"--master-proxy", "--user", "core", "a1"}, "2") ==
          "ssh -o HostKeyAlias=a1 -l core -J core@[fd00::2] -- a1 ");
    CHECK(said({"--proxy-ip", "gate.example.org", "n1"}) ==
          "ssh -o HostKeyAlias=n1 -J gate.example.org -- 10.0.0.1 ");
}

TEST_CASE("one word is for the other shell, several arrive as they were typed") {
    CHECK(words_of({"n1", "--", "ls | wc"})->back() == "ls | wc");
    CHECK(words_of({"--leader", "uptime"})->back() == "uptime");
    const auto words = words_of({"n1", "--", "echo", "a b", "it's", "$HOME", "-x"});
    REQUIRE(words);
    CHECK(Words(words->end() - 5, words->end()) == Words{"'echo'", "'a b'", "'it'\\''s'", "'$HOME'", "'-x'"});
}

TEST_CASE("nothing is taken for an option, or for something to be run here") {
    CHECK(said({"evil"}).starts_with("invalid: the node's address"));
    CHECK(said({"5"}).starts_with("invalid: the node's machine"));
    for (const char* user : {"-oProxyCommand=id", "a b", "a;b"})
        CHECK(said({std::format("--user={}", user), "n1"}).starts_with("invalid: --user"));
    for (const char* option : {"ProxyCommand", "=x", "-o=x", "A B=c"})
        CHECK(said({std::format("--option={}", option), "n1"}).starts_with("invalid: --option"));
    CHECK(said({"--proxy-ip=-oX=y", "n1"}).starts_with("invalid: proxy"));
    CHECK(said({"--proxy-ip", "x", "--master-proxy", "n1"}).contains("exclude"));
}

}  // namespace smackd::cmd
