// The parts of Images. Private to services/images.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "net/scope.h"
#include "net/sync.h"
#include "services/images/archive_import.h"
#include "services/images/file_descriptor.h"
#include "services/images/give_up.h"
#include "services/images/http_get.h"
#include "services/images/image_record.h"
#include "services/images/images.h"
#include "services/images/layer_store.h"
#include "services/images/pull_progress.h"
#include "services/images/registry.h"
#include "services/images/single_flight.h"
#include "storage/blobs/blob_store.h"

namespace smackd::services::images {

inline constexpr size_t kLayersAtOnce = 4;   ///< of one pull
inline constexpr size_t kUnpacksAtOnce = 2;  ///< of the node

class ImagesImplementation {
 public:
    ImagesImplementation(Images::Environment environment, ImagesOptions options, AddressRules rules);
    core::Result<void> load();

    net::Task<core::Result<Image>> ensure(ImageRequest request);
    net::Task<core::Result<Image>> import_archive(std::string path, std::string name);
    std::vector<ImageRow> list() const;
    net::Task<core::Result<void>> remove(std::string name);
    core::Result<Image> hold(const core::images::Digest& id);
    net::Task<core::Result<uint64_t>> collect();
    net::Task<core::Result<void>> fetch(ArtifactRequest request, std::string sandbox);
    void set_node_addresses(const std::vector<std::string>& addresses);
    net::Task<void> close();

 private:
    /// An image whose manifest and config are known, on its way to be unpacked. `session` is empty when its
    /// blobs are all here.
    struct Arrival;
    struct Stored {
        ImageRecord record;
        core::images::ImageConfig config;
        std::vector<storage::BlobStore::Reference> references;
    };
    using Records = std::map<std::string, Stored>;

    core::Result<void> load_record(const std::string& file_name);
    core::Result<void> take_lock();
    core::Result<void> load_salt();
    core::Result<void> load_tls();
    core::Result<void> save(const ImageRecord& record);
    std::string record_path(const std::string& name) const;

    Stored* find(const core::images::ImageName& name, const std::string& access);
    bool complete(const ImageRecord& record) const;
    Image give(Stored& stored);
    std::string access_of(const core::images::ImageName& name,
                          const std::optional<RegistryCredentials>& credentials) const;

    net::Task<core::Result<Image>> pull(core::images::ImageName name,
                                        std::optional<RegistryCredentials> credentials, std::string access,
                                        std::shared_ptr<ProgressFeed> feed);
    net::Task<core::Result<void>> resolve(Arrival& arrival);
    net::Task<core::Result<void>> read_config(Arrival& arrival);
    net::Task<core::Result<void>> bring_layers(std::shared_ptr<Arrival> arrival);
    net::Task<void> bring_next_layers(std::shared_ptr<Arrival> arrival);
    net::Task<core::Result<void>> bring_layer(std::shared_ptr<Arrival> arrival, size_t number);
    net::Task<core::Result<void>> bring_blob(Arrival& arrival, core::images::Descriptor blob);
    core::Result<Image> keep(Arrival& arrival, std::string access);
    net::Task<core::Result<Image>> import_one(std::string path, std::string name);
    net::Task<core::Result<ImportedImage>> read_archive(std::string path);

    struct ArtifactJob;
    core::Result<void> bring_artifact(ArtifactJob& job, const std::atomic<bool>& cancelled);
    core::Result<void> place_file(const ArtifactJob& job);
    net::Task<core::Result<void>> place_archive(const ArtifactJob& job);

    net::Task<core::Result<uint64_t>> collect_now();
    net::Task<core::Result<uint64_t>> drop_unused_layers();
    std::set<core::images::Digest> held_layers();
    uint64_t bytes() const { return blobs_->bytes() + layers_->bytes(); }
    const std::string* oldest_unheld(const std::set<core::images::Digest>& held) const;
    net::Task<void> collect_when_over();

    Images::Environment environment_;
    ImagesOptions options_;
    AddressRules rules_;
    CheckedConnector connector_;
    std::string ca_pem_;
    std::unique_ptr<HttpGetter> getter_;
    std::unique_ptr<storage::BlobStore> blobs_;
    std::unique_ptr<LayerStore> layers_;
    net::Scope scope_;
    SingleFlight<Image> pulls_;
    SingleFlight<void> layer_flights_;
    net::Semaphore unpack_permits_;
    std::map<std::string, std::weak_ptr<ProgressFeed>> feeds_;
    Records records_;
    struct Hold {
        std::vector<core::images::Digest> layers;
    };
    std::vector<std::weak_ptr<const Hold>> holds_;
    core::Bytes salt_;     // of access_of
    FileDescriptor lock_;  // one process at a time has the directory
    bool collecting_ = false;
    bool collect_due_ = false;
    net::Event collected_;
    uint64_t temporary_ = 0;
};

}  // namespace smackd::services::images
