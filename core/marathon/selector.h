// Label selectors of GET /v2/apps?label=: "a,b==c,d!=e,f in (g,h),i notin (j)".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/marathon/problem.h"
#include "core/wire/app.pb.h"

namespace smackd::marathon {

inline constexpr size_t kSelectorBytesMax = 4096;
inline constexpr size_t kSelectorTermsMax = 256;  ///< over all parts

class Selector {
 public:
    /// 422 "Can not parse label selector ..." as Marathon says it.
    static Checked<Selector> parse(std::string_view text);
    /// True when every part holds. `!=` and `notin` want the label to be there.
    bool matches(const wire::AppDefinition& app) const;

 private:
    enum class Operator { kExists, kIn, kNotIn };
    struct Part {
        std::string key;
        Operator op = Operator::kExists;
        std::vector<std::string> values;
    };
    friend class SelectorParser;
    std::vector<Part> parts_;
};

}  // namespace smackd::marathon
