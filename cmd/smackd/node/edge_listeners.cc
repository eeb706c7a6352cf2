#include "cmd/smackd/node/edge_listeners.h"

#include <unistd.h>

#include "net/listen_socket.h"

namespace smackd::cmd {

using core::Result;

namespace {

constexpr size_t kGivenAtOnce = 100;  // at most net::kFrameDescriptorsMax

std::pair<int, std::string> key_of(const wire::EdgeListener& listener) {
    return {static_cast<int>(listener.kind()), listener.address()};
}

}  // namespace

void EdgeListeners::take(const wire::EdgeListeners& given, net::FrameChannel::Descriptors& descriptors) {
    for (const wire::EdgeListeners::Given& one : given.given()) {
        if (!one.error().empty()) continue;
        const int descriptor = descriptors.take();
        if (descriptor < 0) return;
        if (!open_.emplace(key_of(one.listener()), descriptor).second) ::close(descriptor);
    }
}

void EdgeListeners::drop_unwanted(const wire::EdgeListenRequest& request) {
    std::set<Key> wanted;
    for (const wire::EdgeListener& listener : request.wanted()) wanted.insert(key_of(listener));
    std::erase_if(open_, [&](const auto& entry) {
        if (wanted.contains(entry.first)) return false;
        ::close(entry.second);
        return true;
    });
    std::erase_if(refused_, [&](const Key& key) { return !wanted.contains(key); });
}

Result<int> EdgeListeners::descriptor_of(const wire::EdgeListener& listener) {
    const Key key = key_of(listener);
    if (const auto found = open_.find(key); found != open_.end()) return found->second;
    TRY_ASSIGN(const net::Address address, net::Address::parse(listener.address()));
    const bool udp = listener.kind() == wire::EdgeListener::UDP;
    TRY_ASSIGN(const int made,
               net::open_listener(udp ? net::ListenKind::kUdp : net::ListenKind::kTcp, address));
    open_[key] = made;
    return made;
}

std::vector<EdgeListeners::Order> EdgeListeners::answer(const wire::EdgeListenRequest& request) {
    drop_unwanted(request);
    std::vector<Order> orders;
    for (const wire::EdgeListener& listener : request.wanted()) {
        if (listener.open()) continue;
        auto descriptor = descriptor_of(listener);
        const Key key = key_of(listener);
        if (!descriptor) {
            // Asked for again each second; an address that was in use may be free by then.
            if (refused_.insert(key).second)
                logger_.warning("the edge leaves something out", {{"what", descriptor.error().message}});
            continue;
        }
        refused_.erase(key);
        if (orders.empty() || orders.back().descriptors.size() >= kGivenAtOnce) orders.emplace_back();
        *orders.back().order.mutable_listeners()->add_given()->mutable_listener() = listener;
        orders.back().descriptors.push_back(*descriptor);
    }
    return orders;
}

void EdgeListeners::close_all() {
    for (const auto& [key, descriptor] : open_) ::close(descriptor);
    open_.clear();
}

}  // namespace smackd::cmd
