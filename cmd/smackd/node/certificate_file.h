// A certificate for the ingress as an operator gives it: one PEM file with the chain, leaf first, and its
// key, as HAProxy takes them.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"
#include "core/wire/edge.pb.h"

namespace smackd::cmd {

inline constexpr size_t kCertificateFileBytesMax = 256 * 1024;

/// With the names of the leaf, lower case; without an id. kInvalid says what is missing or wrong.
core::Result<wire::EdgeCertificate> parse_certificate_file(std::string_view text);
/// Does one of its names ("shop.example.org", "*.example.org" for one label) stand for `host`?
bool covers(const wire::EdgeCertificate& certificate, std::string_view host);

}  // namespace smackd::cmd
