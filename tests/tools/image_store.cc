// Images and artifacts as an agent asks for them, for tests: with the address rules that tenants meet.
//
//     image_store DIRECTORY image NAME [OPTION=VALUE...]
//     image_store DIRECTORY fetch URI SANDBOX [OPTION=VALUE...]
//     image_store DIRECTORY collect [size_limit=BYTES]
//
// Options: allow=CIDR, node=IP, insecure=HOST:PORT, ca=FILE, user=NAME:PASSWORD, force=1, size_limit=BYTES,
// unpacked_max=BYTES; extract=0, executable=1, cache=1, dest=PATH, uid=N, gid=N, file_uris=1. Prints one JSON
// object; an error has `error` and `message`, and the exit code is 1.
#include <cstdio>
#include <format>
#include <map>
#include <string>
#include <vector>

#include "net/posix_disk.h"
#include "net/scope.h"
#include "net/system_clock.h"
#include "services/images/child_process.h"
#include "services/images/download.h"
#include "services/images/images.h"
#include "services/images/unpack_main.h"

namespace smackd::services::images {
namespace {

using core::Json;
using core::Result;

using Options = std::multimap<std::string, std::string>;

std::vector<std::string> all(const Options& options, const std::string& name) {
    std::vector<std::string> values;
    for (auto [at, end] = options.equal_range(name); at != end; ++at) values.push_back(at->second);
    return values;
}

std::string one(const Options& options, const std::string& name, std::string fallback = {}) {
    const auto found = options.find(name);
    return found == options.end() ? fallback : found->second;
}

struct World {
    net::Loop loop{"images"};
    net::WorkerPool workers{"images", 6, 256};
    net::TlsEngine tls{loop, workers};
    net::PosixDisk disk;
    net::SystemClock clock;
    std::unique_ptr<Images> images;

    Result<void> open(const std::string& directory, const Options& options) {
        ImagesOptions with;
        with.directory = directory;
        with.allowed_addresses = all(options, "allow");
        with.node_addresses = all(options, "node");
        with.insecure_registries = all(options, "insecure");
        with.extra_ca_file = one(options, "ca");
        with.size_limit = std::stoull(one(options, "size_limit", "40000000000"));
        with.image_bytes_max = std::stoull(one(options, "unpacked_max", "4000000000"));
        with.allow_file_uris = options.contains("file_uris");
        TRY_ASSIGN(images, Images::open({loop, workers, tls, disk, clock}, std::move(with)));
        return {};
    }
    Result<Json> image(const std::string& name, const Options& options) {
        ImageRequest request{.name = name};
        request.force = options.contains("force");
        const std::string user = one(options, "user");
        if (!user.empty())
            request.credentials = {user.substr(0, user.find(':')), user.substr(user.find(':') + 1)};
        TRY_ASSIGN(const Image found, net::block_on(loop, images->ensure_image(std::move(request))));
        Json layers = Json::array();
        for (const std::string& layer : found.layers) layers.push(layer);
        return Json::object()
            .set("name", found.name)
            .set("id", found.id.to_string())
            .set("layers", std::move(layers));
    }
    Result<Json> fetch(const std::string& uri, const std::string& sandbox, const Options& options) {
        ArtifactRequest request{.uri = uri};
        request.extract = one(options, "extract", "1") == "1";
        request.executable = options.contains("executable");
        request.cache = options.contains("cache");
        request.destination = one(options, "dest");
        request.uid = static_cast<uint32_t>(std::stoul(one(options, "uid", "0")));
        request.gid = static_cast<uint32_t>(std::stoul(one(options, "gid", "0")));
        TRY(net::block_on(loop, images->fetch(std::move(request), sandbox)));
        return Json::object();
    }
    Result<Json> collect() {
        TRY_ASSIGN(const uint64_t freed, net::block_on(loop, images->collect()));
        return Json::object().set("freed", freed);
    }
};

Result<Json> run(const std::vector<std::string>& words, const Options& options) {
    World world;
    if (words.size() < 2) return core::fail(core::Errc::kInvalid, "DIRECTORY and what to do are missing");
    TRY(world.open(words[0], options));
    Result<Json> answer = core::fail(core::Errc::kInvalid, "image NAME, fetch URI SANDBOX or collect");
    if (words[1] == "image" && words.size() == 3) answer = world.image(words[2], options);
    if (words[1] == "fetch" && words.size() == 4) answer = world.fetch(words[2], words[3], options);
    if (words[1] == "collect") answer = world.collect();
    net::block_on(world.loop, world.images->close());
    return answer;
}

}  // namespace
}  // namespace smackd::services::images

int main(int argc, char** argv) {
    using namespace smackd::services::images;
    std::vector<std::string> words;
    Options options;
    const std::vector<std::string> typed(argv + 1, argv + argc);
    for (const std::string& word : typed) {
        const size_t equals = word.find('=');
        const bool is_option =
            equals != std::string::npos && word.find_first_of(":/") > equals && words.size() > 1;
        if (is_option) {
            options.emplace(word.substr(0, equals), word.substr(equals + 1));
        } else {
            words.push_back(word);
        }
    }
    // The children are entries of this program, as they are of smackd.
    if (words == std::vector<std::string>{"unpack"}) return unpack_main();
    if (words == std::vector<std::string>{"fetch"}) return fetch_main();
    auto answer = run(words, options);
    const std::string text = (answer ? *answer : child_error(answer.error())).dump() + "\n";
    std::fputs(text.c_str(), stdout);
    return answer ? 0 : 1;
}
