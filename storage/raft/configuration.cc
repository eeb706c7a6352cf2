#include "storage/raft/configuration.h"

#include <algorithm>

#include "storage/raft/library.h"

namespace smackd::storage {
namespace {

constexpr char kFormat = 1;

int raft_role_of(ServerRole role) {
    switch (role) {
        case ServerRole::kVoter:
            return RAFT_VOTER;
        case ServerRole::kStandby:
            return RAFT_STANDBY;
        case ServerRole::kSpare:
            return RAFT_SPARE;
    }
    return RAFT_SPARE;
}

ServerRole role_of(int role) {
    if (role == RAFT_VOTER) return ServerRole::kVoter;
    return role == RAFT_STANDBY ? ServerRole::kStandby : ServerRole::kSpare;
}

core::Result<void> check(const std::vector<Server>& servers) {
    if (servers.empty() || servers.size() > kServersMax) {
        return core::fail(core::Errc::kInvalid, "servers: {} given, 1 to {} allowed", servers.size(),
                          kServersMax);
    }
    for (size_t i = 0; i < servers.size(); ++i) {
        const Server& server = servers[i];
        if (server.id.value == 0) return core::fail(core::Errc::kInvalid, "server id 0 is not allowed");
        if (server.address.empty() || server.address.size() > kServerAddressBytesMax ||
            server.address.contains('\0')) {
            return core::fail(core::Errc::kInvalid, "address of server {} must have 1 to {} bytes",
                              server.id.value, kServerAddressBytesMax);
        }
        for (size_t j = 0; j < i; ++j) {
            if (servers[j].id == server.id || servers[j].address == server.address) {
                return core::fail(core::Errc::kInvalid, "server {} ({}) is there twice", server.id.value,
                                  server.address);
            }
        }
    }
    return {};
}

}  // namespace

core::Result<void> to_raft(const std::vector<Server>& servers, raft_configuration& out) {
    TRY(check(servers));
    raft_configuration_init(&out);
    for (const Server& server : servers) {
        if (raft_configuration_add(&out, server.id.value, server.address.c_str(),
                                   raft_role_of(server.role)) != 0) {
            raft_configuration_close(&out);
            return core::fail(core::Errc::kInvalid, "server {} cannot be added", server.id.value);
        }
    }
    return {};
}

std::vector<Server> from_raft(const raft_configuration& configuration) {
    std::vector<Server> servers;
    for (unsigned i = 0; i < configuration.n; ++i) {
        const raft_server& server = configuration.servers[i];
        servers.push_back(Server{.id = {server.id}, .address = server.address, .role = role_of(server.role)});
    }
    return servers;
}

core::Result<core::Bytes> encode_configuration(const std::vector<Server>& servers) {
    TRY(check(servers));
    core::Bytes bytes(1, kFormat);
    core::put_u64(bytes, servers.size());
    for (const Server& server : servers) {
        core::put_u64(bytes, server.id.value);
        bytes.append(server.address);
        bytes.push_back('\0');
        bytes.push_back(static_cast<char>(raft_role_of(server.role)));
    }
    bytes.resize((bytes.size() + 7) / 8 * 8, '\0');
    return bytes;
}

core::Result<std::vector<Server>> decode_configuration(core::BytesView bytes) {
    const auto corrupt = [](std::string_view what) {
        return core::fail(core::Errc::kCorrupt, "configuration: {}", what);
    };
    if (bytes.size() < 9 || bytes[0] != kFormat) return corrupt("unknown format");
    const uint64_t count = core::get_u64(bytes.data() + 1);
    bytes.remove_prefix(9);
    if (count == 0 || count > kServersMax) return corrupt("number of servers out of range");
    std::vector<Server> servers;
    for (uint64_t i = 0; i < count; ++i) {
        if (bytes.size() < 8) return corrupt("cut short");
        Server server{.id = {core::get_u64(bytes.data())}, .address = {}, .role = ServerRole::kSpare};
        bytes.remove_prefix(8);
        const size_t end = bytes.find('\0');
        if (end == core::BytesView::npos || end + 1 >= bytes.size()) return corrupt("cut short");
        server.address = bytes.substr(0, end);
        const int role = static_cast<unsigned char>(bytes[end + 1]);
        if (role != RAFT_STANDBY && role != RAFT_VOTER && role != RAFT_SPARE) return corrupt("unknown role");
        server.role = role_of(role);
        bytes.remove_prefix(end + 2);
        servers.push_back(std::move(server));
    }
    if (auto sound = check(servers); !sound) return corrupt(sound.error().message);
    return servers;
}

uint64_t count_voters(const std::vector<Server>& servers) {
    return static_cast<uint64_t>(std::ranges::count(servers, ServerRole::kVoter, &Server::role));
}

}  // namespace smackd::storage
