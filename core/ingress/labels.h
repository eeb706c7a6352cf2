// The labels of marathon-lb on an app, as what the ingress is told.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/wire/edge.pb.h"

namespace smackd::core::ingress {

/// One entry of the app's port list, in its order.
struct LabelledPort {
    uint32_t service_port = 0;
    bool http_check = false;  ///< it has an HTTP health check: its mode is http whatever the labels say
};

/// One EdgePort for each of `ports`; those in no group have no `groups`. Read are HAPROXY_GROUP, and per port
/// n HAPROXY_n_ GROUP, ENABLED, PORT, MODE, BALANCE, VHOST, PATH, BACKEND_WEIGHT, REDIRECT_TO_HTTPS,
/// USE_HSTS, STICKY, BACKEND_NETWORK_ALLOWED_ACL. kInvalid names the label and the rule; other HAPROXY_
/// labels are not read (HAProxy's own templates mean nothing here).
Result<std::vector<wire::EdgePort>> ports_from_labels(const std::map<std::string, std::string>& labels,
                                                      const std::vector<LabelledPort>& ports);

}  // namespace smackd::core::ingress
