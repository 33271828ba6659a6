# halo's build. Everything it makes goes below build/, and `make help` lists what it can do.
#
# `make` alone builds and never installs a package; demo, test and check install what is missing.
# It takes gcc (or clang), GNU make and pkg-config, liburing, xxHash, libmd and LuaJIT. V=1 shows the
# commands.
#
# A variant is a second build beside the plain one: its own flags, its own directory below build/.
#   make SANITIZE=address,undefined       build/address-undefined/
#   make VARIANT=clang CC=clang           build/clang/

comma := ,
VARIANT ?= $(subst $(comma),-,$(SANITIZE))
B := build$(addprefix /,$(VARIANT))

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include/halo
MANDIR ?= $(PREFIX)/share/man
LUA_CDIR ?= $(LIBDIR)/lua/5.1
PKGCONFIGDIR ?= $(LIBDIR)/pkgconfig
DATADIR ?= $(PREFIX)/share

VERSION := $(shell sed -n 's/^.define HALO_VERSION "\(.*\)"/\1/p' core/halo.h)
MAJOR := $(firstword $(subst ., ,$(VERSION)))

ENGINES ?= ring pool auto
JOBS ?= $(shell nproc 2>/dev/null || echo 1)

# ---- sources and products ------------------------------------------------------------------------

CORE := $(sort $(wildcard core/*.c core/*/*.c))
BINDINGS := $(sort $(filter-out bindings/main.c bindings/compile.c, \
	$(wildcard bindings/*.c bindings/*/*.c)))
LUA := $(sort $(shell find lua -name '*.lua' 2>/dev/null))

CODE := $(LUA:lua/%.lua=$(B)/code/%.luac)

CORE_O := $(CORE:%.c=$(B)/%.o)
LIB_O := $(CORE_O) $(BINDINGS:%.c=$(B)/%.o) $(B)/embedded.o
MAIN_O := $(B)/bindings/main.o

EXAMPLES := $(patsubst examples/%.c,$(B)/%,$(filter-out examples/uv.c,$(wildcard examples/*.c)))
BENCHES := $(patsubst spec/bench/%.c,$(B)/bench/%,$(wildcard spec/bench/*.c))

# The simulator is halo with a model in the place of the kernel: what its objects call is led to
# spec/simulator/calls.h, and its engine stands for both in half of the runs; in the others they run
# on a model of io_uring and of threads. The products know nothing of it.
SIMULATOR := $(sort $(wildcard spec/simulator/*.c))
SIMULATOR_O := $(SIMULATOR:spec/simulator/%.c=$(B)/simulator/%.o)
MODELLED := $(shell sh spec/simulator/modelled.sh | sed 's/^/-Wl,--wrap=/')

# The fuzzers of spec/fuzz: two of the core, over a kernel that does what the input says in the place
# of io_uring and the workers, and two of Lua. main() is libFuzzer's, or else a replay of the corpus.
FUZZ_KERNEL_O := $(addprefix $(B)/fuzz/,kernel.o uring.o helpers.o fuzz.o) \
	$(filter-out $(patsubst %,$(B)/core/engines/%.o,workers poller),$(CORE_O))
FUZZ_SCRIPT_O := $(addprefix $(B)/fuzz/,script.o fuzz.o) $(LIB_O)
FUZZ_MAIN := $(if $(LIBFUZZER),,$(B)/fuzz/replay.o)
FUZZERS := $(addprefix $(B)/fuzz/,completions handles texts arguments)

# halo with its real engines, on which answers, calls and allocations can be made to fail: a table
# of operations of its own, and completions that pass by spec/faults/cqe.h.
FAULTS_C := $(sort $(wildcard spec/faults/*.c))
FAULTS_O := $(FAULTS_C:spec/faults/%.c=$(B)/faults/%.o) $(B)/faults/ring.o
FAULTY_O := $(MAIN_O) $(filter-out $(B)/core/ops/ops.o $(B)/core/engines/ring.o,$(LIB_O))
FAULTY := $(shell sh spec/faults/wrapped.sh | sed 's/^/-Wl,--wrap=/')

# ---- flags ---------------------------------------------------------------------------------------

# A sanitizer's first finding ends the program: a suite that carries on hides it in its output.
ifdef SANITIZE
CFLAGS ?= -O1 -g -fno-omit-frame-pointer
INSTRUMENT := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all
else
CFLAGS ?= -O2 -g
endif

# _GNU_SOURCE is for statx, openat2 and the rest of Linux; it is empty, as in a file that says
# `#define _GNU_SOURCE` itself.
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes $(if $(WERROR),-Werror)
COMPILE = $(CC) -std=gnu11 -D_GNU_SOURCE= -fPIC -fvisibility=hidden -pthread \
	-MMD -MP $(WARNINGS) $(INSTRUMENT) $(CPPFLAGS) $(CFLAGS)
# clang writes down which branches an input takes, for libFuzzer.
ifdef LIBFUZZER
INSTRUMENT += -fsanitize=fuzzer-no-link
endif
LINK = $(CC) -pthread $(INSTRUMENT) $(CFLAGS) $(LDFLAGS)

# pkg-config is asked when a recipe first needs the answer, and once: it may not be installed yet
# while make reads this file for `make demo`.
PKG_CONFIG ?= pkg-config
ask = $(eval $1 := $(shell $(PKG_CONFIG) $2 2>/dev/null))$($1)
URING_CFLAGS = $(call ask,URING_CFLAGS,--cflags liburing)
URING_LIBS = $(call ask,URING_LIBS,--libs liburing)
# Their headers and libraries make the digests of files: xxHash is compiled in, libmd is linked.
HASH_CFLAGS = $(call ask,HASH_CFLAGS,--cflags libxxhash libmd)
HASH_LIBS = $(call ask,HASH_LIBS,--libs libmd)
CORE_LIBS = $(URING_LIBS) $(HASH_LIBS)
LUAJIT_CFLAGS = $(call ask,LUAJIT_CFLAGS,--cflags luajit)
LUAJIT_LIBS = $(call ask,LUAJIT_LIBS,--libs luajit)

Q := $(if $(V),,@)
say = @$(if $(V),:,printf '  %-6s%s\n')
SUBMAKE = $(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(JOBS))

# ---- building ------------------------------------------------------------------------------------

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.PHONY: all benches simulator faults fuzzers fuzz libfuzz mutants survived soak libraries kernels aarch64 \
	machines-deps demo test check coverage bench bench-deps bench-chart install uninstall clean format deps \
	help FORCE

LIBRARIES := $(foreach name,halo halo-core,$(B)/lib$(name).so $(B)/lib$(name).a)

all: $(B)/halo $(B)/halo.so $(LIBRARIES) $(EXAMPLES) ## build; the default

benches: $(BENCHES)

# These two hold what objects and products depend on beside their files: other flags compile anew,
# a source added or removed links anew. They are touched only when their text changes.
$(B)/flags: text = $(COMPILE) $(URING_CFLAGS) $(HASH_CFLAGS) $(LUAJIT_CFLAGS)
$(B)/sources: text = $(LINK) $(CORE_LIBS) $(LUAJIT_LIBS) $(CORE) $(BINDINGS) $(LUA)
$(B)/flags $(B)/sources: FORCE
	@sh spec/support/requirements.sh --verify build
	@mkdir -p $(@D)
	@echo '$(text)' | cmp -s - $@ || echo '$(text)' >$@

# The core is compiled without LuaJIT's include path, so that it cannot come to know of Lua.
$(B)/core/%.o: core/%.c $(B)/flags
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(COMPILE) -Icore $(URING_CFLAGS) $(HASH_CFLAGS) -c -o $@ $<

$(B)/bindings/%.o: bindings/%.c $(B)/flags
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(COMPILE) -Ibindings -Icore $(LUAJIT_CFLAGS) -c -o $@ $<

# Every file of lua/ travels inside the products: .incbin takes it in as it is, and compiled beside
# that, which saves a start a millisecond. A table gives the module's name (lua/halo/fs.lua is
# halo.fs, lua/halo/init.lua is halo), and where both start and end. The table holds addresses, which
# the dynamic linker fills in and then protects: .data.rel.ro.
module = $(subst /,.,$(patsubst %/init,%,$(1:lua/%.lua=%)))
define EMBEDDED
#if __SIZEOF_POINTER__ == 8
#define ADDRESS .quad
#else
#define ADDRESS .long
#endif
.macro embed name, path, code
    .section .rodata
7:  .asciz "\name"
8:  .incbin "\path"
9:  .byte 0
5:  .incbin "\code"
6:  .byte 0
    .section .data.rel.ro, "aw", %progbits
    ADDRESS 7b, 8b, 9b, 5b, 6b
.endm
    .section .data.rel.ro, "aw", %progbits
    .balign __SIZEOF_POINTER__
    .globl halo_embedded
    .hidden halo_embedded
    .type halo_embedded, %object
halo_embedded:
$(foreach file,$(LUA),    embed "$(call module,$(file))", "$(file)", "$(file:lua/%.lua=$(B)/code/%.luac)"
)    ADDRESS 0, 0, 0, 0, 0
    .size halo_embedded, . - halo_embedded
    .section .note.GNU-stack, "", %progbits
endef

$(B)/compile: $(B)/bindings/compile.o $(B)/sources
	$(say) LINK $@
	$(Q)$(LINK) -o $@ $< $(LUAJIT_LIBS) -lm

# Empty where what is built does not run here: then the products compile the text when they start.
$(CODE): $(B)/code/%.luac: lua/%.lua $(B)/compile
	@mkdir -p $(@D)
	$(Q)$(B)/compile $(call module,$<) $< $@ 2>$@.log || { [ $$? -ne 1 ] && : >$@; } || \
		{ cat $@.log >&2; false; }

$(B)/embedded.S: $(LUA) $(CODE) $(B)/sources Makefile
	$(say) GEN $@
	$(file >$@,$(EMBEDDED))

$(B)/embedded.o: $(B)/embedded.S
	$(say) AS $@
	$(Q)$(COMPILE) -c -o $@ $<

$(B)/halo: $(MAIN_O) $(LIB_O) $(B)/sources
	$(say) LINK $@
	$(Q)$(LINK) -o $@ $(MAIN_O) $(LIB_O) $(LUAJIT_LIBS) $(CORE_LIBS) -lm

# A module takes Lua's symbols from the interpreter that loads it; a LuaJIT of its own beside that
# one would be a second, foreign Lua.
$(B)/halo.so: $(LIB_O) $(B)/sources
	$(say) LINK $@
	$(Q)$(LINK) -shared -Wl,-z,nodelete -o $@ $(LIB_O) $(CORE_LIBS) -lm

# The libraries, complete: the linker refuses any symbol that neither they nor theirs have. They keep
# to their own functions even inside a program that exports the same names, and export those of their
# headers alone.
SHARE = $(LINK) -shared -Wl,-z,nodelete -Wl,--no-undefined -Wl,-Bsymbolic \
	-Wl,-soname,$(@F).$(MAJOR) -Wl,--version-script=$(filter %.map,$^) -o $@ $(filter %.o,$^)

$(B)/libhalo-core.so: $(CORE_O) core/halo.map $(B)/sources
	$(say) LINK $@
	$(Q)$(SHARE) $(CORE_LIBS)

$(B)/libhalo.so: $(LIB_O) bindings/halo_lua.map $(B)/sources
	$(say) LINK $@
	$(Q)$(SHARE) $(LUAJIT_LIBS) $(CORE_LIBS) -lm

$(B)/libhalo-core.a: $(CORE_O) $(B)/sources
$(B)/libhalo.a: $(LIB_O) $(B)/sources
$(B)/libhalo-core.a $(B)/libhalo.a:
	$(say) AR $@
	$(Q)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)

$(EXAMPLES): $(B)/%: examples/%.c $(B)/libhalo.a
	$(say) LINK $@
	$(Q)$(COMPILE) -MT $@ -MF $@.d -Icore -Ibindings $(LUAJIT_CFLAGS) -o $@ $< $(B)/libhalo.a \
		$(LDFLAGS) $(LUAJIT_LIBS) $(CORE_LIBS) -lm

$(BENCHES): $(B)/bench/%: spec/bench/%.c $(B)/flags
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(COMPILE) -MT $@ -MF $@.d $(URING_CFLAGS) -o $@ $< $(LDFLAGS) $(URING_LIBS)

$(B)/simulator/%.o: spec/simulator/%.c $(B)/flags
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(COMPILE) -Icore -Ibindings -Ispec/simulator $(LUAJIT_CFLAGS) $(URING_CFLAGS) -c -o $@ $<

simulator: $(B)/simulator/halo ## build the simulator: halo on a model of a kernel

# These are linked to each other first, so that nothing but halo's own objects is led to the model:
# what counts branches for `make coverage` writes real files.
$(B)/simulator/modelled.o: $(SIMULATOR_O) $(LIB_O) $(B)/sources
	$(say) LINK $@
	@sh spec/simulator/modelled.sh $(LIB_O)
	$(Q)$(CC) -r -nostdlib $(MODELLED) -o $@ $(SIMULATOR_O) $(LIB_O)

$(B)/simulator/halo: $(B)/simulator/modelled.o
	$(say) LINK $@
	$(Q)$(LINK) -o $@ $< $(LUAJIT_LIBS) $(CORE_LIBS) -lm

$(B)/fuzz/%.o: spec/fuzz/%.c $(B)/flags
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(COMPILE) -Icore -Ibindings -Ispec/fuzz $(LUAJIT_CFLAGS) $(URING_CFLAGS) -c -o $@ $<

fuzzers: $(FUZZERS) ## build the fuzzers, which replay their corpus

$(B)/fuzz/completions $(B)/fuzz/handles: $(FUZZ_KERNEL_O)
$(B)/fuzz/completions $(B)/fuzz/handles: wrapped = -Wl,--wrap=clock_gettime,--wrap=nanosleep
$(B)/fuzz/texts $(B)/fuzz/arguments: $(FUZZ_SCRIPT_O)

$(FUZZERS): $(B)/fuzz/%: $(B)/fuzz/%.o $(FUZZ_MAIN) $(B)/sources
	$(say) LINK $@
	$(Q)$(LINK) $(if $(LIBFUZZER),-fsanitize=fuzzer) $(wrapped) -o $@ $(filter %.o,$^) \
		$(LUAJIT_LIBS) $(CORE_LIBS) -lm

$(B)/faults/%.o: spec/faults/%.c $(B)/flags
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(COMPILE) -Icore -Ibindings -Ispec/faults $(LUAJIT_CFLAGS) $(URING_CFLAGS) -c -o $@ $<

$(B)/faults/ring.o: core/engines/ring.c spec/faults/cqe.h $(B)/flags
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(COMPILE) -Icore -Ispec/faults -include cqe.h $(URING_CFLAGS) -c -o $@ $<

faults: $(B)/faults/halo ## build halo with answers, calls and allocations that specs make fail

# Its functions are exported for FFI.
$(B)/faults/halo: $(FAULTS_O) $(FAULTY_O) $(B)/sources
	$(say) LINK $@
	$(Q)$(LINK) -rdynamic $(FAULTY) -o $@ $(FAULTS_O) $(FAULTY_O) $(LUAJIT_LIBS) $(CORE_LIBS) -lm

-include $(wildcard $(B)/*.d $(B)/*/*.d $(B)/*/*/*.d)

# ---- using it ------------------------------------------------------------------------------------

demo: demo-deps ## install what is missing, build, and measure /usr with examples/du.lua
	+@$(SUBMAKE) all
	$(B)/halo examples/du.lua -h /usr

# SPEC=file, ENGINES="pool", SANITIZE=address,undefined and GC=stress narrow or sharpen the run.
# ON=xfs has all temporary files on such a file system: of ext4, xfs, btrfs, tmpfs and overlay.
test: deps ## install what is missing, build, and run all specs on each engine
	+@$(SUBMAKE) all simulator faults fuzzers
	@SPEC='$(SPEC)' ENGINES='$(ENGINES)' SANITIZE='$(SANITIZE)' BUILD_DIR='$(abspath $(B))' \
		$(if $(GC),HALO_GC='$(GC)') sh $(if $(ON),spec/support/on.sh '$(ON)' sh) spec/support/test.sh

# GATES="format lua" runs only these; spec/support/check.sh says what there is.
check: ## run the quality gates: warnings, layout, includes, sanitizers, valgrind
	@sh spec/support/requirements.sh build prompt test check extra
	+@sh spec/support/check.sh '$(SUBMAKE)' $(GATES)

# SPEC and ENGINES narrow the run, KEEP=1 adds to the one before: it can be done in pieces. All takes
# a quarter of an hour on two cores. SEEDS is how many random programs the simulator runs.
COUNTING := -O0 -g --coverage -fprofile-update=atomic
coverage: deps ## measure which branches of core and bindings the specs take
	+@$(SUBMAKE) VARIANT=coverage CFLAGS='$(COUNTING)' all simulator faults fuzzers
	@SPEC='$(SPEC)' ENGINES='$(ENGINES)' KEEP='$(KEEP)' SEEDS='$(SEEDS)' \
		sh spec/support/coverage.sh '$(abspath build/coverage)'

# JOBS="read lstat" TASKS="1 8 128" BENCH_ROUNDS=9 narrow or sharpen it; spec/bench/run.lua says more.
# JOBS that are words are the benchmark's; a number is how many at once make may compile.
bench: bench_jobs = $(filter-out 1 2 3 4 5 6 7 8 9 %0 %1 %2 %3 %4 %5 %6 %7 %8 %9,$(JOBS))
bench: deps ## compare halo with C, luv, LuaJIT and node: one table, build/bench/results.json
	+@$(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc)) JOBS= all benches
	@TASKS='$(TASKS)' BUILD_DIR='$(abspath $(B))' $(B)/halo spec/bench/run.lua $(bench_jobs)

# SEEDS=100000 is how many, FROM=1 where to begin, SEED=7 runs one and makes it smaller if it fails.
fuzz: deps ## run random programs in the simulator, each from a seed
	+@$(SUBMAKE) all simulator
	@SEEDS='$(SEEDS)' FROM='$(FROM)' SEED='$(SEED)' JOBS='$(JOBS)' sh spec/simulator/fuzz.sh $(abspath $(B))

# TARGET="completions handles" names some of them, SECONDS=600 is for each; MERGE=yes adds to the
# corpus what reaches more.
libfuzz: deps ## let libFuzzer make inputs up for the fuzzers, SECONDS=60 each
	+@SECONDS_EACH='$(SECONDS)' ENGINES='$(ENGINES)' MERGE='$(MERGE)' \
		sh spec/fuzz/libfuzz.sh '$(SUBMAKE)' $(or $(TARGET),$(notdir $(FUZZERS)))

mutants: deps ## put bugs into copies of the sources, and see whether the simulator finds them
	+@$(SUBMAKE) all simulator
	@$(B)/halo spec/simulator/mutate.lua '$(MAKE) --no-print-directory' $(SECONDS_MAX)

# The rows are what tests and the runs above have told of, see spec/support/survived.lua.
survived: ## write the README's table of what halo survived, of what runs have told since
	+@$(SUBMAKE) $(B)/halo
	@$(B)/halo spec/support/survived_table.lua $(B) README.md
# HOURS=0.1 for six minutes, ENGINES="pool" for one engine; what each printed is in build/soak/.
soak: deps ## do mixed work on each engine for an hour: nothing wrong, nothing grows
	+@$(SUBMAKE) all
	@HOURS='$(HOURS)' ENGINES='$(ENGINES)' BUILD_DIR='$(abspath $(B))' sh spec/soak/soak.sh

# KERNELS="5.10 current", ENGINES="ring pool auto refused", SPEC narrow it, FULL=1 runs all specs;
# spec/machines/kernels.sh says more.
kernels: deps machines-deps ## run the specs on Debian's kernels 5.10, 6.1, 6.12 and its newest, in QEMU
	+@$(SUBMAKE) all simulator
	@KERNELS='$(KERNELS)' ENGINES='$(if $(filter file,$(origin ENGINES)),,$(ENGINES))' \
		SPEC='$(SPEC)' FULL='$(FULL)' BUILD_DIR='$(abspath $(B))' sh spec/machines/kernels.sh

# SPEC narrows it, FULL=1 runs all specs.
aarch64: deps machines-deps ## build for aarch64, and run the specs under QEMU
	+@SPEC='$(SPEC)' FULL='$(FULL)' BUILD_DIR='$(abspath build)' \
		sh spec/machines/aarch64.sh '$(SUBMAKE)'

# LIBRARY="penlight lpeg" names some. Their sources are fetched from where Debian's packages come
# from, or lie in a directory that SUITES names.
libraries: deps ## run the suites of libraries that people use, by luajit and in halo
	+@$(SUBMAKE) all
	@SUITES='$(SUITES)' BUILD_DIR='$(abspath $(B))' sh spec/libraries/libraries.sh $(LIBRARY)

machines-deps: # what the two above need; where it cannot be had they skip, and say so
	@sh spec/support/requirements.sh machines

bench-deps: ## install luv, LuaFileSystem and the tools that the benchmark compares with
	$(if $(filter 0,$(shell id -u)),,sudo) apt-get -qq install -y --no-install-recommends \
		lua-luv lua-filesystem bfs fd-find ripgrep gdu >/dev/null

bench-chart: ## draw build/bench/chart.svg of the last results
	+@$(SUBMAKE) $(B)/halo
	@$(B)/halo spec/bench/chart.lua $(B)/bench/results.json $(B)/bench/chart.svg

format: ## lay out all C sources as .clang-format says
	clang-format -i $$(find core bindings examples spec -name '*.[ch]')

# The page is what the command says of itself.
$(B)/halo.1: $(B)/halo
	$(say) GEN $@
	$(Q)HALO_ENGINE= $(B)/halo --man >$@

define HALO_PC
Name: halo
Description: Lua scripts on io_uring, for programs that embed LuaJIT
Version: $(VERSION)
Requires: luajit
Requires.private: liburing libmd
Libs: -L$(LIBDIR) -lhalo
Libs.private: -lm -pthread
Cflags: -I$(INCLUDEDIR)
endef

define HALO_CORE_PC
Name: halo-core
Description: File operations on io_uring, or on threads where that is forbidden
Version: $(VERSION)
Requires.private: liburing libmd
Libs: -L$(LIBDIR) -lhalo-core
Libs.private: -pthread
Cflags: -I$(INCLUDEDIR)
endef

export HALO_PC HALO_CORE_PC

# What `make install` puts where, as words MODE:FROM:TO.
installs = 755:$(B)/halo:$(BINDIR)/halo 644:$(B)/halo.1:$(MANDIR)/man1/halo.1 \
	755:$(B)/halo.so:$(LUA_CDIR)/halo.so \
	644:core/halo.h:$(INCLUDEDIR)/halo.h 644:bindings/halo_lua.h:$(INCLUDEDIR)/halo_lua.h \
	$(foreach name,halo halo-core,644:$(B)/lib$(name).a:$(LIBDIR)/lib$(name).a \
		755:$(B)/lib$(name).so:$(LIBDIR)/lib$(name).so.$(VERSION)) \
	$(foreach file,$(LUA),644:$(file):$(DATADIR)/halo/$(file))
links = $(foreach name,halo halo-core,$(LIBDIR)/lib$(name).so.$(MAJOR) $(LIBDIR)/lib$(name).so)
pcs = $(PKGCONFIGDIR)/halo.pc $(PKGCONFIGDIR)/halo-core.pc

# Files in share/halo/lua are for editors, which find the annotations there.
install: all $(B)/halo.1 ## copy the products below PREFIX (/usr/local), itself below DESTDIR
	$(Q)set -e; for it in $(installs); do \
		from=$${it#*:}; install -D -m "$${it%%:*}" "$${from%%:*}" "$(DESTDIR)$${from#*:}"; done
	$(Q)set -e; for link in $(links); do \
		name=$${link##*/}; ln -sf "$${name%.so*}.so.$(VERSION)" "$(DESTDIR)$$link"; done
	$(Q)install -d $(DESTDIR)$(PKGCONFIGDIR)
	$(Q)printf '%s\n' "$$HALO_PC" >$(DESTDIR)$(PKGCONFIGDIR)/halo.pc
	$(Q)printf '%s\n' "$$HALO_CORE_PC" >$(DESTDIR)$(PKGCONFIGDIR)/halo-core.pc

uninstall: ## remove what install has put below PREFIX, itself below DESTDIR
	$(Q)for it in $(installs); do rm -f "$(DESTDIR)$${it##*:}"; done
	$(Q)rm -f $(addprefix $(DESTDIR),$(links) $(pcs))
	$(Q)rm -rf $(DESTDIR)$(DATADIR)/halo
	$(Q)rmdir $(DESTDIR)$(INCLUDEDIR) 2>/dev/null || true

clean: ## remove build/
	rm -rf build

demo-deps:
	@sh spec/support/requirements.sh build prompt

deps: ## install the packages that building and testing need and this machine lacks
	@sh spec/support/requirements.sh build prompt test extra

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-11s%s\n", $$1, $$2 }' Makefile
