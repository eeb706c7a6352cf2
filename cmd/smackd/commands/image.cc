#include <unistd.h>

#include <filesystem>
#include <format>
#include <iostream>

#include "cmd/smackd/commands/commands.h"
#include "cmd/smackd/data_directory.h"
#include "cmd/smackd/log_sink.h"
#include "net/posix_disk.h"
#include "net/scope.h"
#include "net/system_clock.h"
#include "services/images/images.h"

namespace smackd::cmd {
namespace {

using services::images::Image;
using services::images::ImageRow;
using services::images::Images;
using services::images::PullProgress;

constexpr size_t kWorkers = 6;  // downloads, two unpackings and what waits between them
constexpr size_t kQueue = 256;
constexpr std::string_view kDataDirectory = "/var/lib/smackd";

core::Result<std::string> absolute(const std::string& path) {
    std::error_code error;
    const auto full = std::filesystem::absolute(path, error);
    if (error) return core::fail_errno(error.value(), std::format("finding {}", path));
    return full.lexically_normal().string();
}

/// This machine's images, opened for one command.
class LocalImages {
 public:
    core::Result<void> open(Context& context) {
        if (::geteuid() != 0)
            return core::fail(core::Errc::kDenied, "images are kept with their owners: this needs root");
        services::images::ImagesOptions options;
        TRY_ASSIGN(const std::string directory,
                   absolute(context.arguments.value("--data-dir", kDataDirectory)));
        TRY(DataDirectory(directory).make());
        options.directory = directory + "/images";
        options.insecure_registries = context.arguments.all("--insecure");
        options.extra_ca_file = context.arguments.value("--ca-file");
        // Who types this is root here and can reach every address anyway; the rules are for what tenants
        // name.
        options.allowed_addresses = {"0.0.0.0/0", "::/0"};
        Images::Environment environment{loop_, workers_, tls_, disk_, clock_, core::Logger(&log_, "images")};
        TRY_ASSIGN(images_, Images::open(std::move(environment), std::move(options)));
        return {};
    }
    Images& operator*() { return *images_; }
    template <class T>
    T run(net::Task<T> task) {
        T result = net::block_on(loop_, std::move(task));
        net::block_on(loop_, images_->close());
        return result;
    }

 private:
    net::Loop loop_{"images"};
    net::WorkerPool workers_{"images", kWorkers, kQueue};
    net::TlsEngine tls_{loop_, workers_};
    net::PosixDisk disk_;
    net::SystemClock clock_;
    DescriptorLogSink log_{STDERR_FILENO, core::LogLevel::kWarning};
    std::unique_ptr<Images> images_;
};

core::Json image_json(const Image& image) {
    core::Json layers = core::Json::array();
    for (const std::string& layer : image.layers) layers.push(layer);
    auto list = [](const std::vector<std::string>& texts) {
        core::Json array = core::Json::array();
        for (const std::string& text : texts) array.push(text);
        return array;
    };
    core::Json ports = core::Json::array();
    for (const auto& port : image.config.exposed_ports)
        ports.push(std::format("{}/{}", port.port, port.protocol));
    return core::Json::object()
        .set("name", image.name)
        .set("id", image.id.to_string())
        .set("bytes", image.bytes)
        .set("layers", std::move(layers))
        .set("entrypoint", list(image.config.entrypoint))
        .set("cmd", list(image.config.cmd))
        .set("env", list(image.config.environment))
        .set("user", image.config.user)
        .set("working_directory", image.config.working_directory)
        .set("exposed_ports", std::move(ports));
}

void tell(Context& context, const core::Result<Image>& image) {
    context.output.say(std::format("{} is here: {}, {} in {} layers", image->name, image->id.to_string(),
                                   core::format_bytes(image->bytes), image->layers.size()));
    context.output.document(image_json(*image));
}

/// One line that is written over, on a terminal only.
void show_progress(const PullProgress& progress) {
    std::string text =
        std::format("\r{}/{} layers, {} of {}  ", progress.layers_done, progress.layers,
                    core::format_bytes(progress.bytes_done), core::format_bytes(progress.bytes));
    if (progress.step == PullProgress::Step::kDone) text = "\r\x1b[K";
    const ssize_t put = ::write(STDERR_FILENO, text.data(), text.size());
    static_cast<void>(put);
}

core::Result<void> pull(Context& context) {
    services::images::ImageRequest request;
    request.name = context.arguments.value("NAME");
    request.force = context.arguments.has("--force");
    const bool has_user = context.arguments.has("--user");
    if (has_user != context.arguments.has("--password-stdin")) {
        return context.usage("--user and --password-stdin belong together");
    }
    if (has_user) {
        std::string password;
        std::getline(std::cin, password);
        request.credentials = {context.arguments.value("--user"), std::move(password)};
    }
    if (::isatty(STDERR_FILENO) != 0 && !context.output.json()) request.progress = show_progress;
    LocalImages images;
    TRY(images.open(context));
    auto image = images.run((*images).ensure_image(std::move(request)));
    if (!image) return core::pass(std::move(image));
    tell(context, image);
    return {};
}

core::Result<void> import(Context& context) {
    TRY_ASSIGN(std::string path, absolute(context.arguments.value("FILE")));
    LocalImages images;
    TRY(images.open(context));
    auto image = images.run((*images).import_archive(std::move(path), context.arguments.value("--name")));
    if (!image) return core::pass(std::move(image));
    tell(context, image);
    return {};
}

core::Result<void> list(Context& context) {
    LocalImages images;
    TRY(images.open(context));
    core::Json rows = core::Json::array();
    for (const ImageRow& row : (*images).list()) {
        rows.push(core::Json::object()
                      .set("name", row.name)
                      .set("id", row.id.to_string())
                      .set("layers", static_cast<uint64_t>(row.layers))
                      .set("bytes", row.bytes)
                      .set("size", core::format_bytes(row.bytes))
                      .set("pulled", date_text(row.pulled_unix_ms))
                      .set("used", date_text(row.used_unix_ms)));
    }
    context.output.table(
        "images", rows,
        {{"NAME", "name"}, {"SIZE", "size"}, {"LAYERS", "layers"}, {"PULLED", "pulled"}, {"USED", "used"}},
        "No images.");
    return {};
}

core::Result<void> remove(Context& context) {
    LocalImages images;
    TRY(images.open(context));
    TRY(images.run((*images).remove(context.arguments.value("NAME"))));
    context.output.say(std::format("{} is gone", context.arguments.value("NAME")));
    context.output.document(core::Json::object().set("removed", context.arguments.value("NAME")));
    return {};
}

constexpr Option kDataDir{"--data-dir", "DIR", "of this machine's node (default /var/lib/smackd)"};

}  // namespace

std::vector<Command> image_commands() {
    return {
        {"image pull",
         "gets an image from its registry and unpacks it on this machine",
         "smackd image pull registry.example.org/team/app:1",
         {{"NAME", "[REGISTRY/]REPOSITORY[:TAG][@sha256:DIGEST]"}},
         {kDataDir,
          {"--force", "", "ask the registry although the image is here"},
          {"--user", "NAME", "sign in at the registry"},
          {"--password-stdin", "", "with the password on standard input"},
          {"--insecure", "HOST:PORT", "speak plain http to this registry", true},
          {"--ca-file", "FILE", "who else signs certificates of registries (PEM)"}},
         pull},
        {"image import",
         "reads an image from `docker save`, an OCI archive or an OCI layout folder",
         "smackd image import app.tar --name team/app:1",
         {{"FILE", "tar, also compressed, or folder"}},
         {kDataDir, {"--name", "NAME", "what it is called here (default: as the archive says)"}},
         import},
        {"image list", "lists the images of this machine", "smackd image list", {}, {kDataDir}, list},
        {"image remove",
         "forgets an image; what nothing else needs leaves the disk",
         "smackd image remove team/app:1",
         {{"NAME", "as in image list"}},
         {kDataDir},
         remove},
    };
}

}  // namespace smackd::cmd
