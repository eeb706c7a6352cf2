// This member's word on machines that want to join: reads the registry behind a barrier, has the certificate
// made on a worker, and proposes AdmitNode; only what was committed is handed out.
//
// Any member may do it, since every server holds the CA key and apply decides. Two members that race for one
// node id meet there: the loser reads again.
#pragma once

#include <string>

#include "auth/join_server.h"
#include "cmd/smackd/node/consensus.h"
#include "cmd/smackd/node/state_gateway.h"
#include "cmd/smackd/node_keys.h"
#include "core/cluster/join_decision.h"
#include "storage/state/reader.h"

namespace smackd::cmd {

class Admission final : public auth::JoinAuthority {
 public:
    struct Parts {
        Consensus& consensus;
        net::WorkerPool& workers;
        core::Clock& clock;
        const ClusterSecrets& secrets;
        storage::feed::Hub& hub;
        storage::state::ReaderOptions reader;
        NodeIdentity identity;
        uint16_t kdc_port = 0;  ///< of the embedded realm on the servers
        core::Logger logger;
    };
    /// Everything outlives it; used on the consensus loop. `refused` is told of each refusal there.
    Admission(Parts parts, core::Callback<void(auth::Refusal)> refused);

    net::Task<auth::JoinResult<wire::JoinAnswer>> admit(auth::JoinProof proof,
                                                        wire::JoinRequest request) override;
    core::Result<std::string> machine_of(const net::crypto::Certificate& certificate) override;
    void refused(auth::Refusal refusal) override;

 private:
    struct Facts {
        core::cluster::JoinFacts join;
        core::cluster::Registry registry;
        wire::InitCluster cluster;
    };
    net::Task<core::Result<Facts>> read_facts(std::string machine);
    net::Task<core::Result<auth::IssuedCertificate>> issue(wire::AdmitNode admit, std::string public_key_pem);
    net::Task<auth::JoinResult<wire::JoinAnswer>> try_once(auth::JoinProof proof, wire::JoinRequest request);
    core::Result<wire::JoinAnswer> answer(const Facts& facts, const wire::AdmitNode& admit,
                                          const std::string& certificate_pem) const;

    Parts parts_;
    core::Callback<void(auth::Refusal)> refused_;
    StateGateway state_;
};

}  // namespace smackd::cmd
