#include <catch2/catch_test_macros.hpp>
#include <functional>

#include "services/agent/task_directory.h"
#include "services/agent/task_runner.h"

using namespace smackd;
using namespace smackd::agent;

namespace {
wire::TaskSpec good() {
    wire::TaskSpec spec;
    spec.set_task_id("iot_meter.7f3a");
    spec.set_shell("true");
    return spec;
}

std::string refusal(const std::function<void(wire::TaskSpec&)>& change) {
    wire::TaskSpec spec = good();
    change(spec);
    const auto checked = check_task_spec(spec);
    return checked ? "accepted" : checked.error().message;
}

bool names(const std::string& message, const std::string& field) {
    return message.starts_with(field + ":");
}
}  // namespace

TEST_CASE("a task id is a file name and nothing more") {
    for (const char* id : {"a", "A9", "iot_meter.7f3a-1", "0.x"}) CHECK(is_task_id(id));
    for (const char* id : {"", ".", "..", "-x", "_x", "a/b", "a b", "a\n", "ä"}) CHECK_FALSE(is_task_id(id));
    CHECK(is_task_id(std::string(200, 'a')));
    CHECK_FALSE(is_task_id(std::string(201, 'a')));
    CHECK_FALSE(is_task_id(std::string("a\0b", 3)));
}

TEST_CASE("what a specification gets wrong is named by field") {
    CHECK(check_task_spec(good()));
    CHECK(names(refusal([](auto& s) { s.set_task_id("../x"); }), "task_id"));
    CHECK(names(refusal([](auto& s) { s.clear_command(); }), "arguments"));
    CHECK(names(refusal([](auto& s) { s.set_shell(std::string("a\0b", 3)); }), "shell"));
    CHECK(names(refusal([](auto& s) { s.mutable_arguments()->add_words(std::string(200 << 10, 'x')); }),
                "arguments"));
    CHECK(names(refusal([](auto& s) { s.add_environment()->set_name("A=B"); }), "environment"));
    CHECK(names(refusal([](auto& s) { s.add_environment(); }), "environment"));
    CHECK(names(refusal([](auto& s) { s.add_rootfs("relative"); }), "rootfs"));
    CHECK(names(refusal([](auto& s) { s.set_sandbox("/a/../b"); }), "sandbox"));
    CHECK(names(refusal([](auto& s) { s.set_sandbox_path("/proc/x"); }), "sandbox_path"));
    CHECK(names(refusal([](auto& s) { s.set_working_directory("x"); }), "working_directory"));
    CHECK(names(refusal([](auto& s) { s.set_user("a\nb"); }), "user"));
    CHECK(names(refusal([](auto& s) { s.set_hostname("a b"); }), "hostname"));
    CHECK(names(refusal([](auto& s) { s.set_stop_signal(65); }), "stop_signal"));
    CHECK(names(refusal([](auto& s) { s.add_added_capabilities("NOT_ONE"); }), "added_capabilities"));
    CHECK(names(refusal([](auto& s) { s.mutable_limits()->set_memory_bytes(4096); }), "limits.memory_bytes"));
    CHECK(names(refusal([](auto& s) { s.mutable_logs()->set_segment_bytes(1); }), "logs.segment_bytes"));
}

TEST_CASE("volumes have absolute paths outside the kernel's") {
    const auto volume = [](const char* host, const char* task) {
        return refusal([&](wire::TaskSpec& s) {
            s.add_volumes()->set_host_path(host);
            s.mutable_volumes(0)->set_task_path(task);
        });
    };
    CHECK(volume("/srv/data", "/data") == "accepted");
    CHECK(volume("/srv/data", "/procedure") == "accepted");
    for (const char* path : {"/", "/proc", "/proc/self", "/sys/fs", "/dev/shm", "data", "/a//b", "/a/./b",
                             "/a/..", "/a/", "/a\nb"})
        CHECK(names(volume("/srv/data", path), "volumes"));
    CHECK(names(volume("srv", "/data"), "volumes"));
    CHECK(names(volume("/srv/../etc", "/data"), "volumes"));
}

TEST_CASE("networks: ports are published on the bridge only, and once") {
    const auto network = [](const std::function<void(wire::TaskNetwork&)>& change) {
        return refusal([&](wire::TaskSpec& s) {
            s.mutable_network()->set_mode(wire::TaskNetwork::BRIDGE);
            change(*s.mutable_network());
        });
    };
    const auto publish = [](wire::TaskNetwork& n, uint32_t host, uint32_t task) {
        n.add_ports()->set_host_port(host);
        n.mutable_ports()->rbegin()->set_task_port(task);
    };
    CHECK(network([&](auto& n) { publish(n, 8080, 80), publish(n, 8081, 80); }) == "accepted");
    CHECK(names(network([&](auto& n) { publish(n, 8080, 80), publish(n, 8080, 81); }), "network.ports"));
    CHECK(names(network([&](auto& n) { publish(n, 0, 80); }), "network.ports"));
    CHECK(names(network([&](auto& n) { publish(n, 8080, 65536); }), "network.ports"));
    CHECK(names(network([&](auto& n) { n.set_mode(wire::TaskNetwork::HOST), publish(n, 1, 1); }),
                "network.ports"));
    CHECK(names(network([](auto& n) { n.set_address("10.0.0.256"); }), "network.address"));
    CHECK(names(network([](auto& n) { n.add_dns_servers("8.8.8.8\nx"); }), "network.dns_servers"));
    CHECK(names(network([](auto& n) { n.add_dns_search("a b"); }), "network.dns_search"));
    CHECK(names(network([](auto& n) { n.add_hosts()->set_address("x"); }), "network.hosts"));
}
