// A move-only function object (libc++ 19 has no std::move_only_function).
#pragma once

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

#include "core/assert.h"

namespace smackd::core {

template <class Signature>
class Callback;

/// Owns one callable; empty when default-made or moved from. Calling an empty one is a bug.
template <class R, class... Args>
class Callback<R(Args...)> {
 public:
    Callback() = default;
    Callback(std::nullptr_t) {}  // NOLINT(google-explicit-constructor)

    template <class F>
        requires(!std::same_as<std::remove_cvref_t<F>, Callback> && std::is_invocable_r_v<R, F&, Args...>)
    Callback(F&& callable)  // NOLINT(google-explicit-constructor,bugprone-forwarding-reference-overload)
        : held_(std::make_unique<Holder<std::decay_t<F>>>(std::forward<F>(callable))) {}

    R operator()(Args... args) {
        SMACK_ASSERT(held_ != nullptr);
        return held_->call(std::forward<Args>(args)...);
    }
    explicit operator bool() const { return held_ != nullptr; }

 private:
    struct Base {
        Base() = default;
        Base(const Base&) = delete;
        Base& operator=(const Base&) = delete;
        virtual ~Base() = default;
        virtual R call(Args... args) = 0;
    };
    template <class F>
    struct Holder final : Base {
        explicit Holder(F callable) : callable_(std::move(callable)) {}
        R call(Args... args) override { return callable_(std::forward<Args>(args)...); }
        F callable_;
    };
    std::unique_ptr<Base> held_;
};

}  // namespace smackd::core
