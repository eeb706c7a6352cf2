#include "services/agent/cgroups.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

using namespace smackd;
using namespace smackd::agent;

namespace {
std::string value_of(const std::vector<CgroupSetting>& settings, const std::string& file) {
    const auto found = std::ranges::find(settings, file, &CgroupSetting::file);
    return found == settings.end() ? "absent" : found->value;
}
}  // namespace

TEST_CASE("layouts of control groups are told apart") {
    const CgroupLayout pure = parse_cgroup_layout(
        "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n");
    CHECK(pure.controllers_on_v2);
    CHECK(pure.v2 == "/sys/fs/cgroup");
    const CgroupLayout hybrid = parse_cgroup_layout(
        "24 1 0:21 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
        "25 24 0:22 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "26 24 0:23 / /sys/fs/cgroup/memory rw shared:3 master:2 - cgroup cgroup rw,memory\n"
        "27 24 0:24 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
        "30 24 0:27 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
        "28 24 0:25 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
        "29 24 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
    CHECK_FALSE(hybrid.controllers_on_v2);
    CHECK(hybrid.v2 == "/sys/fs/cgroup/unified");
    CHECK(hybrid.v1.at("cpu") == "/sys/fs/cgroup/cpu,cpuacct");
    CHECK(hybrid.v1.at("cpuacct") == hybrid.v1.at("cpu"));
    CHECK(hybrid.v1.size() == 5);
    CHECK(parse_cgroup_layout("").v2.empty());
    CHECK(parse_cgroup_layout("a b c\n1 2 3 4 5 - cgroup2\n").v2.empty());
}

TEST_CASE("limits become files of either version") {
    wire::TaskLimits limits;
    limits.set_cpus_milli(1000);
    limits.set_cpus_limit_milli(1500);
    limits.set_memory_bytes(64 << 20);
    limits.set_pids(10);
    const auto v1 = cgroup_settings(false, limits);
    CHECK(value_of(v1, "cpu.shares") == "1024");
    CHECK(value_of(v1, "cpu.cfs_quota_us") == "150000");
    CHECK(value_of(v1, "memory.limit_in_bytes") == "67108864");
    CHECK(value_of(v1, "memory.memsw.limit_in_bytes") == "67108864");
    CHECK(value_of(v1, "pids.max") == "10");
    const auto v2 = cgroup_settings(true, limits);
    CHECK(value_of(v2, "cpu.weight") == "39");
    CHECK(value_of(v2, "cpu.max") == "150000 100000");
    CHECK(value_of(v2, "memory.max") == "67108864");
    CHECK(value_of(v2, "memory.swap.max") == "0");
    CHECK(value_of(v2, "memory.oom.group") == "1");
}

TEST_CASE("without limits only shares and pids are set") {
    const auto settings = cgroup_settings(false, {});
    CHECK(value_of(settings, "cpu.shares") == "102");
    CHECK(value_of(settings, "cpu.cfs_quota_us") == "absent");
    CHECK(value_of(settings, "memory.limit_in_bytes") == "absent");
    CHECK(value_of(settings, "pids.max") == "4096");
}
