// Who listens on this machine, by /proc.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/listen_socket.h"

namespace smackd::cmd {

struct ListeningSocket {
    bool v6 = false;
    std::string address;  ///< eight or 32 hexadecimal digits, as they stand in the table
    uint16_t port = 0;
    uint64_t inode = 0;
};

/// Of the text of /proc/net/tcp, tcp6, udp or udp6: TCP sockets that listen, UDP sockets that are bound.
std::vector<ListeningSocket> parse_socket_table(std::string_view text, net::ListenKind kind, bool v6);

struct PortHolder {
    int pid = 0;  ///< 0: not seen (another user's, or another container's)
    std::string name{};
    std::string command_line{};  ///< words joined by blanks
};

/// Of this machine, or of the container that this process is in, at one moment.
class SocketTable {
 public:
    static SocketTable read();
    /// Who has a socket that keeps others from this address: nobody, or the first one found.
    std::optional<PortHolder> holder_of(net::ListenKind kind, const net::Address& at);

 private:
    void find_processes();

    std::vector<ListeningSocket> tcp_;
    std::vector<ListeningSocket> udp_;
    std::optional<std::map<uint64_t, std::string>>
        processes_;  // pid by inode; read when the first one is wanted
};

}  // namespace smackd::cmd
