#include "core/dns/name.h"

#include <algorithm>
#include <format>

#include "core/ascii.h"
#include "core/dns/sha1.h"

namespace smackd::core::dns {
namespace {

bool is_label_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

}  // namespace

Result<Bytes> name_to_wire(std::string_view text) {
    if (text.ends_with('.')) text.remove_suffix(1);
    Bytes wire;
    while (!text.empty()) {
        const size_t dot = text.find('.');
        const std::string_view label = text.substr(0, dot);
        if (label.empty()) return fail(Errc::kInvalid, "name: an empty label");
        if (label.size() > kLabelBytesMax)
            return fail(Errc::kInvalid, "name: label '{}' is longer than {} bytes", label, kLabelBytesMax);
        wire.push_back(static_cast<char>(label.size()));
        for (char c : label) wire.push_back(core::ascii_lower(c));
        if (dot == std::string_view::npos) break;
        text.remove_prefix(dot + 1);
        if (text.empty()) return fail(Errc::kInvalid, "name: an empty label");
    }
    wire.push_back('\0');
    if (wire.size() > kNameBytesMax)
        return fail(Errc::kInvalid, "name: longer than {} bytes on the wire", kNameBytesMax);
    return wire;
}

std::string name_to_text(BytesView wire) {
    std::string text;
    for (size_t at = 0; at < wire.size() && wire[at] != '\0';) {
        const auto length = static_cast<uint8_t>(wire[at]);
        if (!text.empty()) text.push_back('.');
        for (char c : wire.substr(at + 1, length)) {
            if (c > ' ' && c < 127 && c != '.' && c != '\\') {
                text.push_back(c);
            } else {
                text += std::format("\\{:03}", static_cast<uint8_t>(c));
            }
        }
        at += 1 + length;
    }
    return text.empty() ? "." : text;
}

std::string mangle_label(std::string_view text) {
    std::string label;
    for (char c : text) {
        const char changed = c == '.' || c == '_' ? '-' : core::ascii_lower(c);
        if (!is_label_byte(changed) || (label.empty() && changed == '-')) continue;
        label.push_back(changed);
        if (label.size() == kLabelBytesMax) break;
    }
    while (label.ends_with('-')) label.pop_back();
    return label;
}

std::string mangle_labels(std::string_view text) {
    std::string name;
    while (!text.empty()) {
        const size_t dot = text.find('.');
        const std::string label = mangle_label(text.substr(0, dot));
        if (!label.empty()) name += (name.empty() ? "" : ".") + label;
        text = dot == std::string_view::npos ? std::string_view() : text.substr(dot + 1);
    }
    return name;
}

std::string task_hash(std::string_view task_id) {
    constexpr std::string_view kAlphabet = "ybndrfg8ejkmcpqxot1uwisza345h769";
    const std::array<uint8_t, 20> digest = sha1(task_id);
    const uint64_t bits = (uint64_t{digest[0]} << 24) | (uint64_t{digest[1]} << 16) |
                          (uint64_t{digest[2]} << 8) | uint64_t{digest[3]};
    std::string text;
    for (int shift = 27; shift >= 7; shift -= 5) text.push_back(kAlphabet[(bits >> shift) & 31]);
    return text;
}

std::string agent_suffix(std::string_view agent_id) {
    const size_t dash = agent_id.rfind('-');
    return mangle_label(
        core::ascii_lower(dash == std::string_view::npos ? agent_id : agent_id.substr(dash + 1)));
}

}  // namespace smackd::core::dns
