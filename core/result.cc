#include "core/result.h"

#include <cerrno>
#include <cstring>

namespace smackd::core {

std::string_view errc_name(Errc code) {
    switch (code) {
        case Errc::kInvalid:
            return "invalid";
        case Errc::kNotFound:
            return "not_found";
        case Errc::kConflict:
            return "conflict";
        case Errc::kUnauthenticated:
            return "unauthenticated";
        case Errc::kDenied:
            return "denied";
        case Errc::kBusy:
            return "busy";
        case Errc::kUnavailable:
            return "unavailable";
        case Errc::kTimeout:
            return "timeout";
        case Errc::kCorrupt:
            return "corrupt";
        case Errc::kDiskFull:
            return "disk_full";
        case Errc::kIo:
            return "io";
        case Errc::kUnsupported:
            return "unsupported";
        case Errc::kCancelled:
            return "cancelled";
        case Errc::kUnknownOutcome:
            return "unknown_outcome";
    }
    return "unknown";
}

int http_status(Errc code) {
    switch (code) {
        case Errc::kInvalid:
            return 422;
        case Errc::kNotFound:
            return 404;
        case Errc::kConflict:
            return 409;
        case Errc::kUnauthenticated:
            return 401;
        case Errc::kDenied:
            return 403;
        case Errc::kBusy:
            return 503;
        case Errc::kUnavailable:
            return 503;
        case Errc::kTimeout:
            return 504;
        case Errc::kCorrupt:
            return 500;
        case Errc::kDiskFull:
            return 507;
        case Errc::kIo:
            return 500;
        case Errc::kUnsupported:
            return 501;
        case Errc::kCancelled:
            return 503;
        case Errc::kUnknownOutcome:
            return 503;
    }
    return 500;
}

Error Error::wrap(std::string_view context) && {
    message.insert(0, ": ");
    message.insert(0, context);
    return std::move(*this);
}

std::string Error::to_string() const {
    return std::format("{}: {}", errc_name(code), message);
}

std::unexpected<Error> fail_errno(int error_number, std::string_view what) {
    Errc code = Errc::kIo;
    if (error_number == ENOSPC || error_number == EDQUOT) {
        code = Errc::kDiskFull;
    } else if (error_number == ENOENT) {
        code = Errc::kNotFound;
    }
    return fail(code, "{}: {}", what,
                std::strerror(error_number));  // NOLINT(concurrency-mt-unsafe): glibc's is per thread
}

}  // namespace smackd::core
