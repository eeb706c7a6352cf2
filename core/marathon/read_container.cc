// Container and volumes.
#include "core/marathon/read_app.h"
#include "core/units.h"

namespace smackd::marathon {

using core::Json;
using wire::Container;

namespace {

constexpr size_t kNameBytesMax = 1024;
constexpr Range kVolumeMib{0, 1024.0 * 1024 * 1024};
constexpr uint64_t kGibOfMib = 1024;

void read_persistent(const Fields& fields, wire::PersistentVolume& volume) {
    const std::string type = fields.text("type", kNameBytesMax).value_or("root");
    if (type == "path") {
        volume.set_type(wire::PersistentVolume::PATH);
    } else if (type == "mount") {
        volume.set_type(wire::PersistentVolume::MOUNT);
    } else if (type != "root") {
        fields.wrong("type", "must be one of root, path, mount");
    }
    if (!fields.has("size")) fields.wrong("size", "error.path.missing: must be given");
    volume.set_size_bytes(fields.mib_as_bytes("size", {1, kVolumeMib.max}).value_or(0));
    volume.set_max_size_bytes(fields.mib_as_bytes("maxSize", kVolumeMib).value_or(0));
    volume.set_profile_name(fields.text("profileName", kNameBytesMax).value_or(""));
    fields.elements("constraints", kListMax, [&](const Json& element, const std::string& path) {
        *volume.add_constraints() = read_constraint(element, path, fields.violations());
    });
}

void read_external(const Fields& fields, wire::ExternalVolume& volume) {
    volume.set_provider(fields.required_text("provider", kNameBytesMax));
    volume.set_name(fields.required_text("name", kNameBytesMax));
    const auto gibibytes = fields.number("size", {1, kVolumeMib.max / static_cast<double>(kGibOfMib)});
    if (gibibytes) volume.set_size_bytes(static_cast<uint64_t>(*gibibytes * static_cast<double>(core::kGiB)));
    volume.set_shared(fields.boolean("shared").value_or(false));
    if (const Json* options = fields.find("options")) {
        if (!options->is_object()) {
            fields.violations().add_type(fields.path_of("options"),
                                         "error.expected.jsobject: must be an object");
        } else if (options->dump().size() > kTextBytesMax) {
            fields.wrong("options", "is too long");
        } else {
            volume.set_options_json(options->dump());
        }
    }
}

void read_mode(const Fields& fields, wire::Volume& volume, std::string_view fallback) {
    const std::string mode = fields.text("mode", kNameBytesMax).value_or(std::string(fallback));
    if (mode != "RO" && mode != "RW") fields.wrong("mode", "must be one of RO, RW");
    volume.set_read_only(mode == "RO");
}

void read_volume(const Fields& fields, wire::Volume& volume) {
    volume.set_container_path(fields.required_text("containerPath", kNameBytesMax));
    const int sources =
        fields.has("hostPath") + fields.has("persistent") + fields.has("external") + fields.has("secret");
    if (sources != 1) {
        fields.violations().add(fields.path(),
                                "must have exactly one of hostPath, persistent, external, secret");
        return;
    }
    if (fields.has("secret")) {
        volume.set_secret(fields.required_text("secret", kNameBytesMax));
        volume.set_read_only(true);
        return;
    }
    read_mode(fields, volume, "RW");
    if (fields.has("hostPath")) volume.set_host_path(fields.required_text("hostPath", kNameBytesMax));
    if (fields.has("persistent")) read_persistent(fields.object("persistent"), *volume.mutable_persistent());
    if (fields.has("external")) read_external(fields.object("external"), *volume.mutable_external());
}

void read_docker(const Fields& fields, Container& container) {
    container.set_image(fields.required_text("image", kNameBytesMax));
    container.set_force_pull(fields.boolean("forcePullImage").value_or(false));
    container.set_privileged(fields.boolean("privileged").value_or(false));
    fields.elements("parameters", kListMax, [&](const Json& element, const std::string& path) {
        const Fields given(element, path, fields.violations());
        wire::Parameter& parameter = *container.add_parameters();
        parameter.set_key(given.required_text("key", kNameBytesMax));
        parameter.set_value(given.text("value", kTextBytesMax).value_or(""));
    });
    if (fields.has("pullConfig"))
        container.set_pull_secret(fields.object("pullConfig").required_text("secret", kNameBytesMax));
}

void read_linux_info(const Fields& fields, Container& container) {
    const Fields seccomp = fields.object("seccomp");
    container.set_seccomp_profile(seccomp.text("profileName", kNameBytesMax).value_or(""));
    container.set_seccomp_unconfined(seccomp.boolean("unconfined").value_or(false));
    const Fields ipc = fields.object("ipcInfo");
    const std::string mode = ipc.text("mode", kNameBytesMax).value_or("PRIVATE");
    if (mode != "PRIVATE" && mode != "SHARE_PARENT")
        ipc.wrong("mode", "must be one of PRIVATE, SHARE_PARENT");
    container.set_ipc_shared(mode == "SHARE_PARENT");
    container.set_shm_bytes(ipc.mib_as_bytes("shmSize", kVolumeMib).value_or(0));
}

}  // namespace

void read_container(const Fields& fields, wire::AppDefinition& app) {
    if (!fields.has("container")) return;
    const Fields given = fields.object("container");
    Container& container = *app.mutable_container();
    const std::string type = given.text("type", kNameBytesMax).value_or("DOCKER");
    if (type != "DOCKER" && type != "MESOS") given.wrong("type", "must be one of DOCKER, MESOS");
    container.set_type(type == "MESOS" ? Container::MESOS : Container::DOCKER);
    if (given.has("docker")) read_docker(given.object("docker"), container);
    given.elements("volumes", kListMax, [&](const Json& element, const std::string& path) {
        read_volume(Fields(element, path, fields.violations()), *container.add_volumes());
    });
    if (given.has("linuxInfo")) read_linux_info(given.object("linuxInfo"), container);
}

bool is_resident(const wire::AppDefinition& app) {
    for (const wire::Volume& volume : app.container().volumes()) {
        if (volume.has_persistent()) return true;
    }
    return false;
}

}  // namespace smackd::marathon
