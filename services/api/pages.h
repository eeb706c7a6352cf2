// The dashboard's files, compiled into the binary.
#pragma once

#include <string_view>

#include "net/http/message.h"

namespace smackd::services {

/// True when `path` is a file of the dashboard ("/" is /index.html).
bool is_page(std::string_view path);

/// The file with headers that let it run nothing but itself. Only when is_page(path).
net::http::Response page(std::string_view path);

}  // namespace smackd::services
