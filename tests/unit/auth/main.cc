// The tests' main: the binary is also the KDC child of its own tests, as smackd is of its own.
#include <catch2/catch_session.hpp>
#include <string_view>
#include <vector>

#include "auth/kdc_process.h"
#include "test_realm.h"

int main(int argc, char** argv) {
    if (argc > 1 && std::string_view(argv[1]) == "kdc") {
        return smackd::auth::kdc_main(std::vector<std::string>(argv + 2, argv + argc));
    }
    smackd::auth::test::environment();  // before any thread
    return Catch::Session().run(argc, argv);
}
