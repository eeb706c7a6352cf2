#include "cmd/smackd/demo.h"

#include <catch2/catch_test_macros.hpp>

namespace smackd::cmd {
namespace {

TEST_CASE("demo.env has every variable of the contract, quoted for a shell") {
    std::string text = demo_environment("/tmp/it's here", DemoAddresses{}, "/opt/bin");
    CHECK(text.contains("export SMACKD_URL='http://localhost:5050'\n"));
    CHECK(text.contains("export SMACKD_DNS='127.0.0.1:5053'\n"));
    CHECK(text.contains("export SMACKD_INGRESS='127.0.0.1:8000'\n"));
    CHECK(text.contains("export SMACKD_INGRESS_TLS='127.0.0.1:8443'\n"));
    CHECK(text.contains("export KRB5_CONFIG='/tmp/it'\\''s here/krb5.conf'\n"));
    CHECK(text.contains("export KRB5CCNAME='FILE:/tmp/it'\\''s here/demo.ccache'\n"));
    CHECK(text.contains("export SMACKD_KEYTAB='/tmp/it'\\''s here/keytabs/admin.keytab'\n"));
    CHECK(text.contains("export SMACKD_PRINCIPAL='admin@DEMO.SMACKD'\n"));
    CHECK(text.contains("PATH='/opt/bin'\":$PATH\""));
}

}  // namespace
}  // namespace smackd::cmd
