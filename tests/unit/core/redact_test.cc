#include "core/redact.h"

#include <catch2/catch_test_macros.hpp>

namespace smackd::core {
namespace {

TEST_CASE("values behind words that name a secret") {
    CHECK(redact("password=hunter2 user=bob") == "password=[redacted] user=bob");
    CHECK(redact("db_password: hunter2") == "db_password: [redacted]");
    CHECK(redact(R"({"Secret": "a b c", "name": "x"})") == R"({"Secret": "[redacted]", "name": "x"})");
    CHECK(redact("token='abc def' rest") == "token='[redacted]' rest");
    CHECK(redact("GET /x?api_key=abc&y=1") == "GET /x?api_key=[redacted]&y=1");
    CHECK(redact("Authorization: Bearer abc.def") == "Authorization: [redacted]");
    CHECK(redact("sent Negotiate YIIabc== to n1") == "sent Negotiate [redacted] to n1");
    CHECK(redact("the password was wrong") == "the password was wrong");
    CHECK(redact("password=") == "password=");
}

TEST_CASE("what looks like a key") {
    CHECK(redact("x eyJhbGciOi.eyJzdWIi.c2ln y") == "x [redacted] y");
    CHECK(redact("key RH0R-Q4ZJ-K2GE-PXV4-6AHJ-XFK5 end") == "key [redacted] end");
    CHECK(redact("AAAA-BBBB") == "AAAA-BBBB");
    CHECK(redact("a MIGkAgEBBDBdQ9sKzJp4XxQ7h3mC2vN8bL5tYwE1rU6iO0 b") == "a [redacted] b");
    const std::string digest = "2af5ccee36fff57e01efbe8e31a9c772f0a3ec3fcff30a88c0238d87a2d5f401";
    CHECK(redact("sha256:" + digest) == "sha256:" + digest);
    CHECK(redact("/var/lib/smackd/agent/sandboxes/group.app.with.a.long.name") ==
          "/var/lib/smackd/agent/sandboxes/group.app.with.a.long.name");
}

TEST_CASE("users of URLs, and PEM") {
    CHECK(redact("https://me:pw@host/x") == "https://[redacted]@host/x");
    CHECK(redact("https://host/x@y") == "https://host/x@y");
    CHECK(redact("a\n-----BEGIN EC PRIVATE KEY-----\nabc\n-----END EC PRIVATE KEY-----\nb\n") ==
          "a\n[redacted]\n[redacted]\n[redacted]\nb\n");
}

TEST_CASE("the rest stays as it is") {
    CHECK(redact("") == "");
    const std::string line = "2026-01-02T03:04:05.678Z info    node: ready node=n1 api=0.0.0.0:5050";
    CHECK(redact(line) == line);
}

}  // namespace
}  // namespace smackd::core
