#include "cmd/smackd/doctor/socket_table.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <format>
#include <memory>

#include "services/agent/small_file.h"

namespace smackd::cmd {
namespace {

constexpr std::string_view kListens = "0A";  // TCP_LISTEN of include/net/tcp_states.h

constexpr std::string_view kSocketLink = "socket:[";

template <class Number>
Number number_of(std::string_view text, int base) {
    Number number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number, base);
    return number;
}

/// Columns are separated by blanks.
std::string_view next_column(std::string_view& line) {
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    const std::string_view column = line.substr(0, line.find(' '));
    line.remove_prefix(column.size());
    return column;
}

/// As the table prints addresses: words of four bytes as this machine has them.
std::string table_text(const net::Address& at) {
    std::string text;
    const auto add = [&text](const void* bytes, size_t count) {
        for (size_t i = 0; i < count; i += 4) {
            uint32_t word = 0;
            std::memcpy(&word, static_cast<const char*>(bytes) + i, 4);
            text += std::format("{:08X}", word);
        }
    };
    if (at.raw()->sa_family == AF_INET6) {
        add(&reinterpret_cast<const sockaddr_in6*>(at.raw())->sin6_addr, 16);
    } else {
        add(&reinterpret_cast<const sockaddr_in*>(at.raw())->sin_addr, 4);
    }
    return text;
}

bool is_any(std::string_view address) {
    return address.find_first_not_of('0') == std::string_view::npos;
}

bool in_the_way(const ListeningSocket& socket, const net::Address& at) {
    const bool v6 = at.raw()->sa_family == AF_INET6;
    if (socket.port != at.port()) return false;
    // A socket on all IPv6 addresses has the IPv4 ones too, unless it says otherwise, which the table does
    // not.
    if (socket.v6 != v6) return is_any(v6 ? table_text(at) : socket.address);
    const std::string wanted = table_text(at);
    return socket.address == wanted || is_any(socket.address) || is_any(wanted);
}

using Folder = std::unique_ptr<DIR, int (*)(DIR*)>;
Folder open_folder(const std::string& path) {
    return {::opendir(path.c_str()), ::closedir};
}

PortHolder describe(const std::string& pid) {
    PortHolder holder{number_of<int>(pid, 10)};
    holder.name = agent::read_small_file("/proc/" + pid + "/comm").value_or("");
    while (holder.name.ends_with('\n')) holder.name.pop_back();
    holder.command_line = agent::read_small_file("/proc/" + pid + "/cmdline").value_or("");
    std::ranges::replace(holder.command_line, '\0', ' ');
    return holder;
}

}  // namespace

std::vector<ListeningSocket> parse_socket_table(std::string_view text, net::ListenKind kind, bool v6) {
    std::vector<ListeningSocket> sockets;
    text.remove_prefix(std::min(text.find('\n'), text.size()));  // the heading
    while (!text.empty()) {
        text.remove_prefix(1);
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(line.size());
        next_column(line);
        const std::string_view local = next_column(line);
        next_column(line);
        const std::string_view state = next_column(line);
        for (int column = 0; column < 5; ++column) next_column(line);
        const uint64_t inode = number_of<uint64_t>(next_column(line), 10);
        const size_t colon = local.find(':');
        if (colon == std::string_view::npos || inode == 0) continue;
        if (kind == net::ListenKind::kTcp && state != kListens) continue;
        sockets.push_back({v6, std::string(local.substr(0, colon)),
                           number_of<uint16_t>(local.substr(colon + 1), 16), inode});
    }
    return sockets;
}

SocketTable SocketTable::read() {
    SocketTable table;
    for (const auto kind : {net::ListenKind::kTcp, net::ListenKind::kUdp}) {
        const bool tcp = kind == net::ListenKind::kTcp;
        for (const bool v6 : {false, true}) {
            const std::string path = std::format("/proc/net/{}{}", tcp ? "tcp" : "udp", v6 ? "6" : "");
            const std::string text = agent::read_small_file(path).value_or("");
            std::ranges::move(parse_socket_table(text, kind, v6),
                              std::back_inserter(tcp ? table.tcp_ : table.udp_));
        }
    }
    return table;
}

void SocketTable::find_processes() {
    processes_.emplace();
    const Folder processes = open_folder("/proc");
    while (const dirent* process = processes ? ::readdir(processes.get()) : nullptr) {
        const std::string pid = &process->d_name[0];
        if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
        const std::string folder = "/proc/" + pid + "/fd";
        const Folder files = open_folder(folder);
        while (const dirent* file = files ? ::readdir(files.get()) : nullptr) {
            char target[64] = {};
            const std::string path = folder + "/" + &file->d_name[0];
            if (::readlink(path.c_str(), target, sizeof target - 1) <= 0) continue;
            const std::string_view link(target);
            if (link.starts_with(kSocketLink))
                processes_->emplace(number_of<uint64_t>(link.substr(kSocketLink.size()), 10), pid);
        }
    }
}

std::optional<PortHolder> SocketTable::holder_of(net::ListenKind kind, const net::Address& at) {
    const auto& sockets = kind == net::ListenKind::kTcp ? tcp_ : udp_;
    const auto found =
        std::ranges::find_if(sockets, [&](const ListeningSocket& socket) { return in_the_way(socket, at); });
    if (found == sockets.end()) return std::nullopt;
    if (!processes_) find_processes();
    const auto process = processes_->find(found->inode);
    return process == processes_->end() ? PortHolder{} : describe(process->second);
}

}  // namespace smackd::cmd
