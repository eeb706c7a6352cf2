# smackd: one static daemon. `make` builds it, `make help` lists the rest.
#
# Folders are layers; an include may only point down (scripts/check/layers):
#   cmd -> services -> auth -> net, storage -> core
# Each layer is one static library per mode: build/MODE/libLAYER.a, MODE is release, debug, asan, tsan or fuzz.
# A single file is type-checked by e.g. `make build/debug/obj/net/loop.o`.

MAKEFLAGS += --no-builtin-rules --no-print-directory
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif
.DELETE_ON_ERROR:
SHELL := /bin/bash

LAYERS := core net storage auth services
MODES := release debug asan tsan fuzz sim
UNITS := $(LAYERS) cmd

# ---- third-party libraries ------------------------------------------------------------------------------------
# They live outside the tree, in a folder named by what they were built from; build/deps points to it, and the time
# of build/deps.key tells objects when it changed.
ifneq ($(filter-out clean help format,$(or $(MAKECMDGOALS),all)),)
PREFIX := $(shell mkdir -p build/lists; prefix=$$(scripts/deps/prefix); \
    [ "$$(cat build/deps.key 2>/dev/null)" = "$$prefix" ] || \
    { ln -sfn "$$prefix" build/deps; echo "$$prefix" >build/deps.key; }; echo "$$prefix")
endif
DEPS_INCLUDE := build/deps/include
DEPS_LIB := build/deps/lib

LIBS_core := -lprotobuf-lite -lyyjson -lz -lzstd
LIBS_net := -lmbedtls -lmbedx509 -lmbedcrypto -luv -lllhttp
LIBS_storage := -lsqlite3 -lraft
LIBS_auth := -lgssapi_krb5 -lkrad -lkrb5 -lkdb5 -lgssrpc -lk5crypto -lcom_err -lverto -lkrb5support \
    -lkeyutils -lresolv
LIBS_services := -lseccomp
LIBS_all := $(foreach layer,$(LAYERS),$(LIBS_$(layer)))

# What a layer's tests link: itself and what is below it.
BELOW_core := core
BELOW_net := net core
BELOW_storage := storage core
BELOW_auth := auth net storage core
BELOW_services := services auth net storage core
BELOW_cmd := $(BELOW_services)

# ---- compiler -------------------------------------------------------------------------------------------------
CCACHE := $(shell command -v ccache)
# A clone elsewhere finds what this one compiled: no absolute path is in the key, nor (by the prefix map) in the object.
export CCACHE_NOHASHDIR := 1
CXX := clang++-19
AR := llvm-ar-19
STRIP := llvm-strip-19

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Wold-style-cast \
    -Wimplicit-fallthrough -Werror
CXXFLAGS := -std=c++23 -stdlib=libc++ -fPIE -pthread -I. -Ibuild/gen -isystem $(DEPS_INCLUDE) \
    -ffunction-sections -fdata-sections -ffile-prefix-map=$(CURDIR)=.
HARDENING := -fstack-protector-strong -fcf-protection -D_LIBCPP_HARDENING_MODE=_LIBCPP_HARDENING_MODE_FAST
LDFLAGS := -std=c++23 -stdlib=libc++ -fuse-ld=lld-19 -pthread -L$(DEPS_LIB) -Wl,--gc-sections
STATIC := -static-pie -Wl,-z,relro,-z,now,-z,noexecstack
SANITIZE := -g -O1 -fno-omit-frame-pointer -D_LIBCPP_HARDENING_MODE=_LIBCPP_HARDENING_MODE_EXTENSIVE

CXXFLAGS_release := -O2 -g1 -D_FORTIFY_SOURCE=3 $(HARDENING)
CXXFLAGS_debug := -O1 -g -fno-omit-frame-pointer $(HARDENING)
CXXFLAGS_asan := $(SANITIZE) -fsanitize=address,undefined -fno-sanitize-recover=all
CXXFLAGS_tsan := $(SANITIZE) -fsanitize=thread
# The simulator and the fuzz targets can plant bugs to prove that they would be caught; nothing else can.
CXXFLAGS_fuzz := $(SANITIZE) -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -DSMACKD_PLANTED_BUGS
CXXFLAGS_sim := -O2 -g1 -DSMACKD_PLANTED_BUGS
LDFLAGS_release := $(STATIC)
LDFLAGS_debug := $(STATIC)
LDFLAGS_sim := $(STATIC)
LDFLAGS_asan := -fsanitize=address,undefined
LDFLAGS_tsan := -fsanitize=thread
# libFuzzer's own runtime was built for libstdc++.
LDFLAGS_fuzz := -fsanitize=fuzzer,address,undefined -l:libstdc++.so.6

# The libraries are not instrumented: their containers would look overflown to ASan.
export ASAN_OPTIONS ?= detect_container_overflow=0:detect_stack_use_after_return=1
export UBSAN_OPTIONS ?= print_stacktrace=1

# ---- sources --------------------------------------------------------------------------------------------------
find_cc = $(sort $(shell find $(1) -name '*.cc' 2>/dev/null))
objects = $(patsubst %.cc,build/$(1)/obj/%.o,$(2))

PROTOS := $(sort $(shell find core/wire -name '*.proto' 2>/dev/null))
PROTO_CC := $(PROTOS:%.proto=build/gen/%.pb.cc)
WEB_FILES := $(shell find web -type f ! -name README.md 2>/dev/null)
GENERATED := $(PROTO_CC) build/gen/web/assets.cc

$(foreach layer,$(LAYERS) cmd,$(eval SOURCES_$(layer) := $(call find_cc,$(layer))))
$(foreach layer,$(UNITS),$(eval TESTS_$(layer) := $(call find_cc,tests/unit/$(layer))))
SIM_SOURCES := $(call find_cc,tests/sim)
FUZZERS := $(patsubst tests/fuzz/%_fuzz.cc,%,$(wildcard tests/fuzz/*_fuzz.cc))
BENCHES := $(patsubst tests/bench/%.cc,%,$(wildcard tests/bench/*.cc))
TOOLS := $(patsubst tests/tools/%.cc,%,$(wildcard tests/tools/*.cc))
HISTORY_SOURCES := $(filter-out %/plant.cc,$(call find_cc,tests/history))

# Of these layers the fuzz targets get the parsers and what those need, or all of smackd would be compiled once more.
PARSERS_fuzz_net := $(wildcard net/crypto/*.cc) $(addprefix net/,address.cc http/message.cc http/parser.cc http/websocket.cc rpc/frame.cc stream.cc system_clock.cc)
PARSERS_fuzz_storage := $(filter-out storage/raft/%,$(SOURCES_storage)) storage/raft/configuration.cc storage/raft/message.cc
PARSERS_fuzz_auth := $(addprefix auth/,cluster_ca.cc http_rules.cc identity.cc keytab.cc krb5_handles.cc secret_file.cc \
    join_frame.cc logon_info.cc ticket_diagnosis.cc token.cc)
PARSERS_fuzz_services := $(addprefix services/api/,command_json.cc conditions.cc exec_message.cc fields.cc row_json.cc task_request.cc) \
    services/agent/frames.cc services/agent/users.cc

# A file taken away must rebuild what it was part of: these files change with the lists.
list = build/lists/$(subst /,_,$(1))
track = $(if $(PREFIX),$(if $(and $(wildcard $(call list,$(1))),$(if $(subst x$(file <$(call list,$(1)))x,,x$(2)x),,same)),,\
    $(file >$(call list,$(1)),$(2))))
$(foreach layer,$(LAYERS) cmd,$(call track,$(layer),$(SOURCES_$(layer)) $(if $(filter core,$(layer)),$(PROTOS))))
$(foreach layer,$(UNITS),$(call track,tests_$(layer),$(TESTS_$(layer))))
$(foreach layer,$(LAYERS),$(call track,fuzz_$(layer),$(PARSERS_fuzz_$(layer))))
$(call track,sim,$(SIM_SOURCES))
$(call track,web,$(WEB_FILES))

# ---- what to call ---------------------------------------------------------------------------------------------
.PHONY: all debug deps demo test check sim integration fuzz fuzz-planted asan tsan soak bench tools show format tidy layers \
    deb rpm repo clean help
.DEFAULT_GOAL := all

all: build/smackd ## build/smackd: static, optimised, stripped

debug: build/debug/smackd ## build/debug/smackd: with symbols and little optimisation

deps: ## Debian packages and all pinned libraries (every other target does this when needed)
	scripts/deps/install
	scripts/deps/build

demo: build/smackd ## a single-node cloud in the foreground, under your data folder
	build/smackd demo --data-dir $${XDG_DATA_HOME:-$$HOME/.local/share}/smackd-demo

FRESH_SEED := $(shell date +%s)
# Seeds that once found a bug: state.db damaged in use and structurally unsound snapshots of it; no convergence.
KEPT_SEEDS := 30717 20151 20152 5929 3493 12990 112308 401596 501675
# The same of whole clusters (tests/sim/cluster).
KEPT_CLUSTER_SEEDS := 247 1150 2910 3087 3630 4434 4791 4905 5431 13697 18252 2216 17121 3135 11850
test: ## every test; the last line is the sum: N passed, N failed
	@scripts/check/tally \
	    'layers=scripts/check/layers' 'layers_test=scripts/check/layers_test' 'deps_test=scripts/deps/test' 'failures=scripts/check/failures' \
	    $(foreach unit,$(UNITS),$(if $(TESTS_$(unit)),'unit_$(unit)=$(MAKE) unit_$(unit)')) \
	    $(if $(SIM_SOURCES),'sim_fixed=$(MAKE) sim SEED=1 N=20' \
	        $(foreach seed,$(KEPT_SEEDS),'sim_kept_$(seed)=$(MAKE) sim SEED=$(seed) N=1') 'sim_fresh=$(MAKE) sim SEED=$(FRESH_SEED) N=5' \
	        'sim_cluster=build/sim/tests/sim --cluster --seed 1 --lifetimes 200' \
	        $(foreach seed,$(KEPT_CLUSTER_SEEDS),'sim_cluster_kept_$(seed)=build/sim/tests/sim --cluster --seed $(seed) --lifetimes 1') \
	        'sim_cluster_fresh=build/sim/tests/sim --cluster --seed $(FRESH_SEED) --lifetimes 20' \
	        'sim_cluster_bugs=build/sim/tests/sim --cluster --bug all' \
	        'sim_gossip=build/sim/tests/sim --gossip --lifetimes 20' 'sim_gossip_bugs=build/sim/tests/sim --gossip --bug all' \
        'sim_placement_bugs=build/sim/tests/sim --placement --bug all') \
	    $(if $(wildcard tests/integration/run),'integration=$(MAKE) integration')

check: ## what must hold before a commit: format, tidy, layers, tests
	@scripts/check/format
	@$(MAKE) tidy
	@$(MAKE) test

format: ## rewrites our sources by clang-format
	@scripts/check/format --fix

tidy: $(GENERATED) ## banned words, file lengths, clang-tidy on changed files (TIDY_BASE=COMMIT, TIDY_ALL=1)
	@scripts/check/words
	@scripts/check/tidy $(CXXFLAGS) $(CXXFLAGS_debug)

layers: ## includes point down only
	@scripts/check/layers

sim: build/sim/tests/sim ## simulated replicas and simulated whole clusters: SEED=first seed, N=how many lifetimes of each
	@scripts/check/tally \
	    'sim_replicas=build/sim/tests/sim $(if $(SEED),--seed $(SEED)) $(if $(N),--lifetimes $(N))' \
	    'sim_clusters=build/sim/tests/sim --cluster $(if $(SEED),--seed $(SEED)) $(if $(N),--lifetimes $(N))'

integration: build/smackd build/sim/smackd tools ## real daemons on this machine: tests/integration/run
	tests/integration/run

FUZZ_SECONDS ?= 60
FUZZ_ONLY ?= $(FUZZERS)
fuzz: $(FUZZ_ONLY:%=build/fuzz/%) ## each fuzz target (or FUZZ_ONLY) for FUZZ_SECONDS (60); new inputs go to build/fuzz/corpus
	@scripts/check/fuzz $(FUZZ_SECONDS) $(FUZZ_ONLY)

fuzz-planted: $(FUZZERS:%=build/fuzz/%) ## a bug planted behind each fuzz target must be found within a minute
	@scripts/check/fuzz_planted $(FUZZERS)

asan tsan: ## unit tests and simulation under a sanitizer
	@scripts/check/tally $(foreach unit,$(UNITS),$(if $(TESTS_$(unit)),\
	    'unit_$(unit)=$(MAKE) build/$@/tests/unit_$(unit) && scripts/check/unit build/$@/tests/unit_$(unit)')) \
	    $(if $(SIM_SOURCES),'sim=$(MAKE) build/$@/tests/sim && build/$@/tests/sim --seed 1 --lifetimes 3')

soak: ## long runs: each fuzz target 10 minutes, SOAK_LIFETIMES (2000) simulated lifetimes, 100 kills
	@$(MAKE) fuzz FUZZ_SECONDS=600
	@$(MAKE) sim SEED=$(FRESH_SEED) N=$(or $(SOAK_LIFETIMES),2000)
	@$(MAKE) build/smackd tools
	SMACKD_KILLS_ONE=100 SMACKD_KILLS_THREE=100 tests/integration/run kill

bench: $(BENCHES:%=build/release/bench/%) build/smackd tools ## smackd beside its peers: tests/bench/run.py
	tests/bench/run.py

tools: $(TOOLS:%=build/release/tools/%) ## small programs for tests: build/release/tools

show: build/smackd tools ## acceptance scripts of one issue: make show ISSUE=n
	@scripts/check/show $(ISSUE)

deb: build/smackd ## build/packages/*.deb: Debian and Ubuntu (REVISION=1)
	packaging/deb/build build/smackd build/packages

rpm: build/smackd ## build/packages/*.rpm: RHEL and its kind (needs rpmbuild)
	packaging/rpm/build build/smackd build/packages

repo: deb ## build/repo: repositories for apt and dnf of build/packages (SIGN_KEY=ID of gpg signs them)
	@packaging/repo build/repo $$(ls build/packages/*.deb build/packages/*.rpm 2>/dev/null)

clean: ## removes build/ (not the library cache)
	rm -rf build

help: ## this list
	@sed -nE 's/^([a-z -]+):[^#]*## (.*)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
	    printf '  %-12s %s\n' "$$name" "$$text"; done

# ---- generated sources ----------------------------------------------------------------------------------------
ifdef PREFIX
$(PREFIX):
	scripts/deps/install
	scripts/deps/build
endif

# Our strict warnings are not for generated code, so its header switches them off for itself.
build/gen/%.pb.cc: %.proto scripts/build/proto | $(PREFIX)
	scripts/build/proto $<
build/gen/%.pb.h: build/gen/%.pb.cc ;

build/gen/web/assets.cc: $(WEB_FILES) $(call list,web) scripts/build/embed
	scripts/build/embed web build/gen/web
build/gen/web/assets.h: build/gen/web/assets.cc ;

# ---- one set of rules per mode --------------------------------------------------------------------------------
# Outputs appear by rename under a name of the running shell, so that two makes in one tree do no harm.
# $(call program,OUTPUT,MODE,SOURCES,LAYERS,LIBRARIES,NAME OF THE SOURCE LIST)
define program
$(1): $(call objects,$(2),$(3)) $(foreach layer,$(4),build/$(2)/lib$(layer).a) $(if $(6),$(call list,$(6))) | $(PREFIX)
	@mkdir -p $$(@D)
	@echo "link $$@"
	@new=$$@.$$$$$$$$; $(CXX) $(LDFLAGS) $(LDFLAGS_$(2)) -o $$$$new $$(filter %.o,$$^) \
	    $$(filter %.a,$$^) $(5) $(foreach layer,$(4),$(LIBS_$(layer))) && mv $$$$new $$@
endef

define objects_of_mode
build/$(1)/obj/gen/%.o: build/gen/%.cc build/deps.key | $(PREFIX)
	@mkdir -p $$(@D)
	@echo "$(1) gen/$$*.cc"
	@$(CCACHE) $(CXX) $(CXXFLAGS) $(CXXFLAGS_$(1)) -w -MMD -MP -c $$< -o $$@

build/$(1)/obj/%.o: %.cc build/deps.key | $(PREFIX) $(GENERATED)
	@mkdir -p $$(@D)
	@echo "$(1) $$<"
	@$(CCACHE) $(CXX) $(CXXFLAGS) $(CXXFLAGS_$(1)) $(WARNINGS) -MMD -MP -c $$< -o $$@

$(foreach layer,$(LAYERS),$(eval OBJECTS_$(1)_$(layer) := $(call objects,$(1),$(or $(PARSERS_$(1)_$(layer)),$(SOURCES_$(layer))))))
OBJECTS_$(1)_core += $(PROTO_CC:build/gen/%.cc=build/$(1)/obj/gen/%.o)
OBJECTS_$(1)_services += build/$(1)/obj/gen/web/assets.o
endef

define library_of_mode
build/$(1)/lib$(2).a: $$(OBJECTS_$(1)_$(2)) $(call list,$(2)) $(if $(filter fuzz,$(1)),$(call list,fuzz_$(2)))
	@mkdir -p $$(@D)
	@new=$$@.$$$$$$$$; $(AR) rcs $$$$new $$(filter %.o,$$^) && mv $$$$new $$@
endef

$(foreach mode,$(MODES),$(eval $(call objects_of_mode,$(mode))))
$(foreach mode,$(MODES),$(foreach layer,$(LAYERS),$(eval $(call library_of_mode,$(mode),$(layer)))))

# The daemon. The KDC is one object whose only visible symbol is krb5kdc_main.
$(foreach mode,release debug asan tsan,$(eval $(call program,build/$(mode)/smackd,$(mode),$(SOURCES_cmd),\
    $(BELOW_cmd),$(DEPS_LIB)/krb5kdc.o,cmd)))
build/smackd: build/release/smackd
	@new=$@.$$$$; $(STRIP) -o $$new $< && mv $$new $@

# The daemon on the simulator's storage and core, where SMACKD_PLANT=NAME plants a bug: for tests that prove that it is
# noticed in the recorded history of real clients.
PLANTED_LAYERS := $(foreach layer,services auth net,build/release/lib$(layer).a) $(foreach layer,storage core,build/sim/lib$(layer).a)
build/sim/smackd: $(call objects,release,$(SOURCES_cmd)) $(call objects,sim,tests/history/plant.cc) $(PLANTED_LAYERS) | $(PREFIX)
	@mkdir -p $(@D)
	@echo "link $@"
	@new=$@.$$$$; $(CXX) $(LDFLAGS) $(LDFLAGS_release) -o $$new $(filter %.o,$^) $(filter %.a,$^) \
	    $(DEPS_LIB)/krb5kdc.o $(LIBS_all) && mv $$new $@

# cmd's own tests get what cmd has, without its main.
CMD_TESTED := $(filter-out cmd/smackd/main.cc,$(SOURCES_cmd))
$(foreach mode,debug release asan tsan,\
    $(foreach layer,$(UNITS),$(if $(TESTS_$(layer)),$(eval $(call program,build/$(mode)/tests/unit_$(layer),$(mode),\
        $(TESTS_$(layer)) $(if $(filter cmd,$(layer)),$(CMD_TESTED)),$(BELOW_$(layer)),\
        -lCatch2Main -lCatch2 $(if $(filter auth cmd,$(layer)),$(DEPS_LIB)/krb5kdc.o),tests_$(layer))))))
$(foreach mode,sim asan tsan,$(eval $(call program,build/$(mode)/tests/sim,$(mode),$(SIM_SOURCES),storage core,,sim)))

# CI runs them as shipped (UNIT_MODE=release), which also saves it a second build of everything.
UNIT_MODE ?= debug
.PHONY: $(UNITS:%=unit_%)
$(UNITS:%=unit_%): unit_%: build/$(UNIT_MODE)/tests/unit_%
	@scripts/check/unit $<

# A fuzz target links the layer of its parser and what that needs.
FUZZERS_core := app_json dns_packet json registry_answer tar zip
FUZZERS_net := certificate gossip_packet http_body http_head ingress_request rpc_frame websocket
FUZZERS_storage := agent_feed command log_segment raft_message
FUZZERS_auth := join keytab logon_info negotiate_header principal token
FUZZERS_services := api_body backup_file conditions exec_message shim_request task_socket task_user
FUZZERS_cmd := join_bundle
FUZZ_SOURCES_join_bundle := $(addprefix cmd/smackd/,config.cc join_bundle.cc nearest.cc tasks_config.cc)
$(foreach layer,core net storage,$(eval FUZZ_BELOW_$(layer) := $(BELOW_$(layer))))
FUZZ_BELOW_auth := auth net core
FUZZ_BELOW_services := services auth net core
FUZZ_BELOW_cmd := auth net core
$(foreach layer,$(UNITS),$(foreach name,$(FUZZERS_$(layer)),$(eval $(call program,build/fuzz/$(name),fuzz,\
    tests/fuzz/$(name)_fuzz.cc tests/fuzz/plant.cc $(FUZZ_SOURCES_$(name)),$(FUZZ_BELOW_$(layer))))))
FUZZERS_UNPLACED := $(filter-out $(foreach layer,$(UNITS),$(FUZZERS_$(layer))),$(FUZZERS))
$(if $(FUZZERS_UNPLACED),$(error tests/fuzz: list $(FUZZERS_UNPLACED) in FUZZERS_LAYER of the Makefile))
$(foreach name,$(BENCHES),$(eval $(call program,build/release/bench/$(name),release,tests/bench/$(name).cc $(call find_cc,tests/bench/$(name)),$(BELOW_services),$(DEPS_LIB)/krb5kdc.o)))
$(foreach name,$(TOOLS),$(eval $(call program,build/release/tools/$(name),release,\
    tests/tools/$(name).cc $(HISTORY_SOURCES) $(CMD_TESTED),$(BELOW_cmd),$(DEPS_LIB)/krb5kdc.o)))

-include $(shell find build -name '*.d' 2>/dev/null)
