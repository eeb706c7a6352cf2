#include "net/cancellation.h"

namespace smackd::net {

void Waiter::attach(Cancellation* to) {
    detach();
    if (to == nullptr) return;
    owner_ = to;
    next_ = to->first_;
    if (next_ != nullptr) next_->previous_ = this;
    to->first_ = this;
}

void Waiter::detach() {
    if (owner_ == nullptr) return;
    if (previous_ != nullptr) {
        previous_->next_ = next_;
    } else {
        owner_->first_ = next_;
    }
    if (next_ != nullptr) next_->previous_ = previous_;
    owner_ = nullptr;
    next_ = previous_ = nullptr;
}

Cancellation::Cancellation(Cancellation* parent) {
    if (parent == nullptr) return;
    if (parent->cancelled()) {
        why_ = parent->why();
    } else {
        attach(parent);
    }
}

Cancellation::~Cancellation() {
    SMACK_ASSERT(first_ == nullptr);
}

void Cancellation::cancel(core::Error why) {
    if (why_) return;
    why_ = std::move(why);
    while (first_ != nullptr) {
        Waiter* waiter = first_;
        waiter->detach();
        waiter->on_cancel(*why_);
    }
}

}  // namespace smackd::net
