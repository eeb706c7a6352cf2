#include "services/edge/session.h"

#include <unistd.h>

#include <format>

#include "core/wire/serialize.h"

namespace smackd::edge {

using core::Result;

namespace {

constexpr core::Duration kTick = std::chrono::seconds(1);
constexpr uint32_t kDrainDefaultS = 30;
constexpr size_t kGivenAtOnce = 100;  // descriptors in one message
constexpr size_t kQueuedBytesMax =
    4 * 1024 * 1024;  // to a daemon that does not read; statistics are then left out

}  // namespace

Session::Session(net::Loop& loop, Control& control, SessionHooks hooks, std::string version,
                 core::Logger logger)
    : loop_(loop),
      control_(control),
      hooks_(std::move(hooks)),
      version_(std::move(version)),
      logger_(std::move(logger)) {
    timer_ = loop_.start(kTick, [this] { tick(); }, "edge tick");
}

Session::~Session() {
    *self_ = nullptr;
    loop_.cancel(timer_);
}

Result<void> Session::serve(int descriptor) {
    if (!net::is_listening(descriptor)) return connect(descriptor);
    auto on_connected = [this](int connected) {
        auto done = connect(connected);
        if (!done)
            logger_.warning("a connection of the daemon cannot be used", {{"why", done.error().message}});
    };
    TRY_ASSIGN(listener_, net::FrameListener::adopt(loop_, descriptor, on_connected));
    return {};
}

Result<void> Session::connect(int descriptor) {
    TRY_ASSIGN(channel_, net::FrameChannel::adopt(loop_, descriptor, core::kEdgeFrameBytesMax, *this));
    asked_.clear();
    wire::EdgeReport hello;
    hello.mutable_hello()->set_version(version_);
    hello.mutable_hello()->set_pid(static_cast<uint32_t>(::getpid()));
    report(hello);
    return {};
}

void Session::report(const wire::EdgeReport& report) {
    if (channel_ != nullptr) channel_->send(wire::serialize(report));
}

void Session::on_closed(const core::Error& why) {
    logger_.info("the daemon has gone; serving goes on", {{"why", why.message}});
    channel_.reset();
    if (leaving_) drain();
}

void Session::on_frame(core::BytesView frame, net::FrameChannel::Descriptors& descriptors) {
    wire::EdgeOrder order;
    if (!order.ParseFromArray(frame.data(), static_cast<int>(frame.size())))
        return report_applied(core::fail(core::Errc::kInvalid, "the order is malformed"), 0);
    switch (order.body_case()) {
        case wire::EdgeOrder::kTable: {
            const uint64_t revision = order.table().revision();
            return report_applied(control_.replace(std::move(*order.mutable_table())), revision);
        }
        case wire::EdgeOrder::kDelta: {
            const uint64_t revision = order.delta().revision();
            return report_applied(control_.apply(std::move(*order.mutable_delta())), revision);
        }
        case wire::EdgeOrder::kListeners:
            return take_listeners(order.listeners(), descriptors);
        case wire::EdgeOrder::kDrain:
            return drain();
        case wire::EdgeOrder::kRelease:
            return await_release(order.release().task());
        case wire::EdgeOrder::kHandBack:
            return give_listeners_back(order.hand_back().leaving());
        case wire::EdgeOrder::BODY_NOT_SET:
            return report_applied(core::fail(core::Errc::kUnsupported, "an order this version does not know"),
                                  0);
    }
}

void Session::report_applied(Result<std::vector<std::string>> problems, uint64_t revision) {
    wire::EdgeReport answer;
    if (problems) {
        answer.mutable_applied()->set_epoch(control_.state().epoch());
        answer.mutable_applied()->set_revision(revision);
        for (std::string& problem : *problems) answer.mutable_applied()->add_problems(std::move(problem));
    } else {
        answer.mutable_refused()->set_revision(revision);
        answer.mutable_refused()->set_reason(problems.error().message);
    }
    report(answer);
    ask_for_listeners(false);
}

/// Unless the daemon knows it all; `again`: also then.
void Session::ask_for_listeners(bool again) {
    if (control_.makes_listeners() || channel_ == nullptr || draining_) return;
    wire::EdgeReport request;
    std::set<std::string> wanted;
    bool missing = false;
    request.mutable_listen();
    for (wire::EdgeListener& listener : control_.wanted_listeners()) {
        missing |= !listener.open();
        wanted.insert(std::format("{} {}", static_cast<int>(listener.kind()), listener.address()));
        *request.mutable_listen()->add_wanted() = std::move(listener);
    }
    if (!missing && !again && wanted == asked_) return;
    asked_ = std::move(wanted);
    report(request);
}

void Session::give_listeners_back(bool leaving) {
    leaving_ = leaving;
    const std::vector<Control::Kept> kept = control_.kept_listeners();
    size_t at = 0;
    do {
        wire::EdgeReport answer;
        std::vector<int> descriptors;
        for (; at < kept.size() && descriptors.size() < kGivenAtOnce; ++at) {
            *answer.mutable_listeners()->add_given()->mutable_listener() = kept[at].listener;
            descriptors.push_back(kept[at].descriptor);
        }
        answer.mutable_listeners()->set_more(at < kept.size());
        if (channel_ != nullptr) channel_->send(wire::serialize(answer), descriptors);
    } while (at < kept.size());
}

void Session::await_release(const std::string& task) {
    wire::EdgeReport answer;
    answer.mutable_released()->set_task(task);
    control_.await_release(task, [&loop = loop_, self = self_, answer = std::move(answer)]() mutable {
        loop.post(
            [self, answer = std::move(answer)] {
                if (*self != nullptr) (*self)->report(answer);
            },
            "released");
    });
}

void Session::take_listeners(const wire::EdgeListeners& given, net::FrameChannel::Descriptors& descriptors) {
    bool taken_one = false;
    for (const wire::EdgeListeners::Given& one : given.given()) {
        if (!one.error().empty()) {
            logger_.warning("no listener", {{"address", one.listener().address()}, {"why", one.error()}});
            continue;
        }
        const int descriptor = descriptors.take();
        if (descriptor < 0) return logger_.error("a listener came without its descriptor");
        auto taken = control_.give_listener(one.listener(), descriptor);
        if (!taken) logger_.warning("a listener cannot be used", {{"why", taken.error().message}});
        taken_one |= taken.value_or(false);
    }
    if (taken_one) ask_for_listeners(true);  // says what is there now
}

void Session::drain() {
    if (draining_) return;
    draining_ = true;
    listener_.reset();  // the next daemon starts another edge
    const uint32_t wanted = control_.state().settings().drain_s();
    drain_until_ = loop_.now() + std::chrono::seconds(wanted == 0 ? kDrainDefaultS : wanted);
    control_.drain();
    loop_.cancel(timer_);
    timer_ = loop_.start(std::chrono::milliseconds(50), [this] { tick(); }, "edge tick");
}

bool Session::drain_is_over() const {
    return hooks_.connections() == 0 || loop_.now() >= drain_until_;
}

void Session::tick() {
    const core::Duration next = draining_ ? core::Duration(std::chrono::milliseconds(100)) : kTick;
    timer_ = loop_.start(next, [this] { tick(); }, "edge tick");
    wire::EdgeReport now;
    if (draining_ && drain_is_over()) {
        now.mutable_drained();
        report(now);
        draining_ = false;
        return hooks_.drained();
    }
    if (channel_ != nullptr && channel_->queued() < kQueuedBytesMax) {
        *now.mutable_statistics() = hooks_.statistics();
        report(now);
    }
    // An address that was in use may be free by now.
    if (draining_) return;
    if (control_.makes_listeners()) {
        control_.retry_listeners();
    } else {
        ask_for_listeners(false);
    }
}

}  // namespace smackd::edge
