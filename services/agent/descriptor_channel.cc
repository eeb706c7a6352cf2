#include "services/agent/descriptor_channel.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "core/result.h"

namespace smackd::agent {
namespace {

constexpr const char* kStep = "descriptors";
constexpr size_t kDescriptorsMax = 250;  // the kernel's limit is 253
constexpr size_t kFailureBytesMax = 1024;

struct Message {
    std::string bytes{};
    std::vector<Descriptor> fds{};
};

// Nothing at the end of the stream.
std::optional<Message> receive_message(int channel) {
    std::array<char, kFailureBytesMax> bytes{};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kDescriptorsMax)> control{};
    iovec piece{bytes.data(), bytes.size()};
    msghdr header{};
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    ssize_t got = 0;
    do {
        got = ::recvmsg(channel, &header, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) return std::nullopt;
    Message message;
    message.bytes.assign(bytes.data(), static_cast<size_t>(got));
    for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
            message.fds.emplace_back(fd);
        }
    }
    return message;
}

}  // namespace

Stepped<DescriptorChannel> make_descriptor_channel() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return fail_step(kStep, "socketpair");
    return DescriptorChannel{Descriptor(ends[0]), Descriptor(ends[1])};
}

Stepped<void> send_descriptors(int channel, const std::vector<int>& fds) {
    if (fds.size() > kDescriptorsMax) return fail_step_with(kStep, E2BIG);
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kDescriptorsMax)> control{};
    char kind = 'D';
    iovec piece{&kind, 1};
    msghdr header{};
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(part), fds.data(), sizeof(int) * fds.size());
    if (::sendmsg(channel, &header, MSG_NOSIGNAL) != 1) return fail_step(kStep, "sendmsg");
    return {};
}

Stepped<std::vector<Descriptor>> receive_descriptors(int channel, size_t count) {
    auto message = receive_message(channel);
    if (!message || message->fds.size() != count) return fail_step_with(kStep, EPIPE);
    return std::move(message->fds);
}

void send_failure(int channel, const StepError& error) {
    std::string text = "F";
    const int number = error.error_number;
    text.append(reinterpret_cast<const char*>(&number), sizeof(number));
    text += error.step + '\0' + error.detail;
    text.resize(std::min(text.size(), kFailureBytesMax));
    (void)::send(channel, text.data(), text.size(), MSG_NOSIGNAL);
}

StartReport receive_start_report(int channel) {
    StartReport report;
    while (auto message = receive_message(channel)) {
        for (Descriptor& fd : message->fds) report.received.push_back(std::move(fd));
        if (message->bytes.size() < 1 + sizeof(int) || message->bytes[0] != 'F') continue;
        StepError error;
        std::memcpy(&error.error_number, message->bytes.data() + 1, sizeof(int));
        const std::string rest = message->bytes.substr(1 + sizeof(int));
        error.step = rest.substr(0, rest.find('\0'));
        if (rest.size() > error.step.size()) error.detail = rest.substr(error.step.size() + 1);
        report.failure = std::move(error);
    }
    return report;
}

}  // namespace smackd::agent
