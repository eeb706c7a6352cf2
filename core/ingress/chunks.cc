#include "core/ingress/chunks.h"

#include <algorithm>

namespace smackd::core::ingress {
namespace {

int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

}  // namespace

// One byte of framing; false when it cannot stand there.
bool ChunkReader::take(char c) {
    switch (state_) {
        case State::kSize:
            if (const int digit = hex(c); digit >= 0) {
                left_ = left_ * 16 + static_cast<uint64_t>(digit);
                return ++digits_ <= 15;
            }
            if (digits_ == 0) return false;
            if (c == '\r') state_ = State::kSizeLf;
            if (c == ';') state_ = State::kExtension;
            return c == '\r' || c == ';';
        case State::kExtension:
            if (c == '\r') state_ = State::kSizeLf;
            return ++line_ <= kChunkLineBytesMax && c != '\n' && c != '\0';
        case State::kSizeLf:
            state_ = left_ == 0 ? State::kTrailer : State::kData;
            digits_ = line_ = 0;
            return c == '\n';
        case State::kDataCr:
            state_ = State::kDataLf;
            return c == '\r';
        case State::kDataLf:
            state_ = State::kSize;
            return c == '\n';
        case State::kTrailer:
            if (++trailer_ > kTrailerBytesMax || c == '\n' || c == '\0') return false;
            if (c == '\r') {
                state_ = State::kTrailerLf;
            } else {
                ++line_;
            }
            return true;
        case State::kTrailerLf:
            state_ = line_ == 0 ? State::kDone : State::kTrailer;
            line_ = 0;
            return c == '\n';
        case State::kData:
        case State::kDone:
        case State::kFailed:
            return false;
    }
    return false;
}

ChunkReader::Step ChunkReader::next(BytesView bytes) {
    if (state_ == State::kDone) return {Part::kDone, 0};
    if (state_ == State::kData) {
        const size_t size = static_cast<size_t>(std::min<uint64_t>(left_, bytes.size()));
        left_ -= size;
        if (left_ == 0) state_ = State::kDataCr;
        return {Part::kData, size};
    }
    size_t used = 0;
    while (used < bytes.size() && state_ != State::kData && state_ != State::kDone) {
        if (!take(bytes[used])) {
            state_ = State::kFailed;
            return {Part::kFailed, used};
        }
        ++used;
    }
    return {Part::kFraming, used};
}

}  // namespace smackd::core::ingress
