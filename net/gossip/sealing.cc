#include "net/gossip/sealing.h"

#include <algorithm>
#include <cstdlib>

#include "core/assert.h"
#include "net/crypto/random.h"

namespace smackd::net::gossip {

using core::Bytes;
using core::BytesView;
using core::Errc;
using core::fail;
using core::NodeId;
using core::Result;
using core::WallTime;

namespace {

constexpr char kVersion = 1;
constexpr std::string_view kContext = "smack-gossip/1";
constexpr size_t kHeadBytes = 1 + 8 + crypto::kAeadNonceBytes;
constexpr size_t kPlainHeadBytes = 24;
constexpr size_t kPrefixBytes = 7;
constexpr uint64_t kCounterMax = (uint64_t{1} << 40) - 1;

void put_counter(Bytes& out, uint64_t counter) {
    for (int i = 0; i < 5; ++i) out.push_back(static_cast<char>(counter >> (8 * i)));
}

uint64_t get_counter(const char* at) {
    uint64_t counter = 0;
    for (int i = 4; i >= 0; --i) counter = (counter << 8) | static_cast<unsigned char>(at[i]);
    return counter;
}

}  // namespace

Sealing::Sealing(SealingOptions options)
    : options_(std::move(options)), prefix_(crypto::random_bytes(kPrefixBytes)) {}

Result<void> Sealing::set_keys(const std::vector<Bytes>& keys) {
    if (keys.empty() || keys.size() > kKeysMax) {
        return fail(Errc::kInvalid, "a gossip keyring has 1 to {} keys, not {}", kKeysMax, keys.size());
    }
    for (const Bytes& key : keys) {
        if (key.size() == crypto::kAeadKeyBytes) continue;
        return fail(Errc::kInvalid, "a gossip key has {} bytes, not {}", crypto::kAeadKeyBytes, key.size());
    }
    keys_.clear();
    for (const Bytes& key : keys) keys_.emplace_back(key);
    return {};
}

Bytes Sealing::associated(uint64_t epoch) const {
    Bytes bytes(kContext);
    bytes.push_back(kVersion);
    core::put_u64(bytes, epoch);
    bytes += options_.cluster_id;
    return bytes;
}

Bytes Sealing::seal(BytesView payload, WallTime now) {
    SMACK_ASSERT(!keys_.empty() && payload.size() <= core::gossip::kPayloadBytesMax);
    if (counter_ == kCounterMax) {  // 1000 years; but a nonce used twice would be the end of the key
        prefix_ = crypto::random_bytes(kPrefixBytes);
        counter_ = 0;
        ++options_.session;
    }
    Bytes plain;
    plain.reserve(kPlainHeadBytes + payload.size());
    core::put_u64(plain, options_.self.value);
    core::put_u64(plain, options_.session);
    core::put_u64(plain, static_cast<uint64_t>(now.unix_ms));
    plain += payload;
    Bytes out(1, kVersion);
    core::put_u64(out, options_.epoch);
    out += prefix_;
    put_counter(out, ++counter_);
    const BytesView nonce = BytesView(out).substr(kHeadBytes - crypto::kAeadNonceBytes);
    return out + keys_.front().seal(nonce, plain, associated(options_.epoch));
}

Result<Opened> Sealing::open(BytesView datagram, WallTime now) {
    if (datagram.size() < kSealedOverheadBytes || datagram.size() > core::gossip::kPacketBytesMax ||
        datagram.front() != kVersion) {
        ++counts_.malformed;
        return fail(Errc::kInvalid, "no gossip datagram of version {}: {} bytes", int{kVersion},
                    datagram.size());
    }
    const uint64_t epoch = core::get_u64(datagram.data() + 1);
    if (epoch != options_.epoch) {
        ++counts_.wrong_epoch;
        return fail(Errc::kDenied, "packet of epoch {}, the cluster is at {}: {}", epoch, options_.epoch,
                    epoch < options_.epoch ? "its sender missed a restore or recover" : "we have missed one");
    }
    const BytesView nonce = datagram.substr(kHeadBytes - crypto::kAeadNonceBytes, crypto::kAeadNonceBytes);
    const Bytes aad = associated(epoch);
    for (crypto::AeadKey& key : keys_) {
        auto plain = key.open(nonce, datagram.substr(kHeadBytes), aad);
        if (!plain) continue;
        const NodeId sender{core::get_u64(plain->data())};
        const uint64_t session = core::get_u64(plain->data() + 8);
        const auto sent_ms = static_cast<int64_t>(core::get_u64(plain->data() + 16));
        TRY(check_fresh(sender, session, sent_ms, get_counter(nonce.data() + kPrefixBytes), now));
        ++counts_.opened;
        return Opened{sender, plain->substr(kPlainHeadBytes)};
    }
    ++counts_.wrong_key;
    return fail(Errc::kDenied,
                "no gossip key of ours opens the packet: another cluster, a key that was rotated away, "
                "or damage");
}

/// The time bounds what a receiver that has just started can be told twice; the window does the rest.
Result<void> Sealing::check_fresh(NodeId sender, uint64_t session, int64_t sent_ms, uint64_t counter,
                                  WallTime now) {
    // Unsigned, so that no sender's number overflows.
    const uint64_t apart = sent_ms > now.unix_ms
                               ? static_cast<uint64_t>(sent_ms) - static_cast<uint64_t>(now.unix_ms)
                               : static_cast<uint64_t>(now.unix_ms) - static_cast<uint64_t>(sent_ms);
    if (apart > static_cast<uint64_t>(kClockSkewMaxMs)) {
        ++counts_.wrong_time;
        return fail(Errc::kDenied, "packet of node {} was sent {} s from now: replayed, or a clock is wrong",
                    sender.value, apart / 1000);
    }
    auto at = senders_.find(sender);
    if (at == senders_.end()) {
        if (senders_.size() >= kSendersMax) make_room(now);
        if (senders_.size() >= kSendersMax) return fail(Errc::kBusy, "more than {} senders", kSendersMax);
        at = senders_.emplace(sender, Sender{.session = session, .last_ms = now.unix_ms, .window = {}}).first;
    }
    Sender& known = at->second;
    // Silent for so long that no packet of before can still be within the skew: a clock that was set back
    // between two lives does not shut its node out for ever.
    const bool expired = now.unix_ms - known.last_ms > 2 * kClockSkewMaxMs;
    if (session > known.session || expired)
        known = {.session = session, .last_ms = now.unix_ms, .window = {}};
    if (session < known.session) {
        ++counts_.replayed;
        return fail(Errc::kDenied, "packet of an earlier life of node {}: replayed", sender.value);
    }
    if (!known.window.accept(counter)) {
        ++counts_.replayed;
        return fail(Errc::kDenied, "packet {} of node {} came before: replayed", counter, sender.value);
    }
    known.last_ms = now.unix_ms;
    return {};
}

void Sealing::make_room(WallTime now) {
    std::erase_if(senders_, [now](const auto& entry) {
        return now.unix_ms - entry.second.last_ms > 2 * kClockSkewMaxMs;
    });
}

}  // namespace smackd::net::gossip
