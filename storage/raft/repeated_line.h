// A log line about something that is tried again and again: at once when it says something new, else rarely.
#pragma once

#include <string>
#include <string_view>

#include "core/clock.h"

namespace smackd::storage {

class RepeatedLine {
 public:
    static constexpr core::Duration kPause = core::seconds{60};

    /// True when `text` is to be written now.
    bool due(std::string_view text, core::Instant now) {
        if (text == text_ && now - written_ < kPause) return false;
        text_ = text;
        written_ = now;
        return true;
    }
    /// It is over: the next line is news, whatever it says.
    void reset() { text_.clear(); }

 private:
    std::string text_;
    core::Instant written_;
};

}  // namespace smackd::storage
